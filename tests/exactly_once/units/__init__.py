"""The exactly-once core step by step, over clients that are scripted answer by answer; no claim about Kafka is made."""
