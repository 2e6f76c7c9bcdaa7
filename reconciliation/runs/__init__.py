"""A run: the ledger's own side and the lines of files, by one rule set → matches, breaks, a tie-out and one hash."""
