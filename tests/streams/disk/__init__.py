"""The state of a shard on disk: real RocksDB."""
