"""Kafka: the pinned distribution, a Java runtime, and the configuration of each broker."""
