"""Kafka → Kafka: every decision about money is made here, once, at the partition of the account it concerns."""
