"""What could not be decided: listed, looked into, redriven once under its own identity, or discarded for a reason.

cases.py holds the rows and their states, diagnosis.py what is wrong with a record, redrive.py the way back to
payments.commands, routes.py the HTTP routes. The command `millrace quarantine` uses the same.
"""
