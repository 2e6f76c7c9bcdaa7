"""Exactly once on Kafka transactions: what a worker consumed, decided and wrote becomes true together. Knows no Faust."""
