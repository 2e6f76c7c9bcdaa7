"""What the world is told: public events, derived from ledger entries alone."""
