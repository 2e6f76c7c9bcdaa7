"""Refunds of payments through a whole installation."""
