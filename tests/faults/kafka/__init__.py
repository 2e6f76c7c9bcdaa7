"""Faults of Kafka and of the workers that stand on it."""
