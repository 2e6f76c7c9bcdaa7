"""Runs over the ledger and imported files."""
