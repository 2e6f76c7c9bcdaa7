"""`millrace archive`: the archiver as a command, and what its files are worth.

command (run, list, verify) → listing (what is there) and verify (whether it is right, also against the brokers); alarm
is what the watch says when retention comes too near.
"""
