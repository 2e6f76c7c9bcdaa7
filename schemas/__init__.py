"""The contract between stages: topics, Avro schemas, the codec of every record, and the partition of every key."""
