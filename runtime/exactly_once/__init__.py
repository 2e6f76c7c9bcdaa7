"""Exactly once on Kafka transactions: what a worker read, decided and wrote becomes true together. Knows no Faust."""
