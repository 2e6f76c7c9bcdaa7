"""HTTP → Kafka, and reads from Postgres: refuses what is malformed or not allowed; accounts decide the rest."""
