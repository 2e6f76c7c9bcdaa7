"""Requests that a provider leaves open, and that nobody asks it about any more: people find out, and settle them."""
