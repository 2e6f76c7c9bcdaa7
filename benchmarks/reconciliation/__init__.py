"""What reconciliation costs at size, each in a Postgres of the benchmark's own."""
