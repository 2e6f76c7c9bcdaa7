"""Signed events from payment providers: kept once each, and a hint to ask the provider. Never believed themselves."""
