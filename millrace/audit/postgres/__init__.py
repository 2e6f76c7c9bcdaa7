"""What Postgres shows, against the fold of the ledger: snapshot → facts (row_stream) and sums → proof."""
