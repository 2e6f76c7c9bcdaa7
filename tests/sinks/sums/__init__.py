"""What the sink adds up beside balances."""
