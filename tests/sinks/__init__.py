"""ledger.entries → Postgres, against a real broker and a real Postgres."""
