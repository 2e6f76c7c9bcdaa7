"""What happened on an account and how it stood: running balances, monthly statements, the tax report of a year.

Postgres is read in history.py, month.py and tax.py; kinds.py and line.py say what an entry is; formats/ renders, and
reads nothing.
"""
