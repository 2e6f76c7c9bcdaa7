"""Checkouts, refunds and payouts through a provider, while workers, connectors and the provider itself are killed."""
