"""Checkouts, their refunds, and payouts."""
