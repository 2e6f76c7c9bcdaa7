"""Pages and balances: what they cost, and what they may show."""
