"""docs/ledger.md: what each kind of movement debits and credits, shown by playing it."""
