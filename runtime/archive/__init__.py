"""Partitions of the log as files that are never changed: what is read when the brokers hold it no longer.

objects (keys, put once) → segment (records ⇄ Avro container file) → manifest (a hash-chained link per segment) →
reader (a partition's records again). Knows nothing of what the records mean.
"""
