"""Features that span accounts: counted at the shard of a payee, card, device or address, and known at the payers'."""
