"""Features over all accounts: what is counted, published and kept."""
