"""Kafka → the outside → Kafka: operations for payment providers, each answered with exactly one result per attempt."""
