"""Journals and the ledger of a user through a whole installation."""
