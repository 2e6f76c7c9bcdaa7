"""Balances from memory: fed by the ledger, with Postgres behind them."""
