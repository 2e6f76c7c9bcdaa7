"""Balances at points of the past, decisions made again, and drift, against a real broker and a real Postgres."""
