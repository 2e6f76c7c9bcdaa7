"""Deposits, withdrawals and wallets through a whole installation."""
