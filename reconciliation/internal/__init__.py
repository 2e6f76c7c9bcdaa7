"""Internal reconciliation: what payment service, ledger, wallet, attempts and provider say of one movement."""
