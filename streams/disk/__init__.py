"""The state of a shard on the worker's disk, written behind the Kafka commit and never ahead of it."""
