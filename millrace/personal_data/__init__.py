"""Personal data for operators: wrapping keys, erasure, and what a certificate is worth beside the ledger."""
