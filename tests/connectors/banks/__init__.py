"""Banks: the adapter against the sandbox bank over real HTTP."""
