"""Disputes and receivables through a whole installation."""
