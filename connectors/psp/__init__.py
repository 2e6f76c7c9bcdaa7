"""Payment service providers, one adapter each."""
