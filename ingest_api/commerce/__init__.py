"""Checkouts of several sellers: orders, payments through a provider, refunds, deliveries, payouts.

What callers send is in bodies.py, what they see in shown.py. Orders that nobody has paid yet are Postgres' alone; all
else is decided at the partitions, and read from Postgres.
"""
