"""API keys and signed requests."""
