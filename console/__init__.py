"""What finance looks at in a browser: runs, breaks, files and signatures, by forms that work without JavaScript.

Pages read the tables by the functions of reconciliation/; whatever changes something is a call of the API.
"""
