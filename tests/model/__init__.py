"""An independent model of the ledger, and random operations that it and the pipeline have to agree about."""
