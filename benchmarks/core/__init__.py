"""What deciding costs, without Kafka, Postgres or HTTP: CPU µs in one process."""
