"""What a shard's state costs at size: `python -m benchmarks state`."""
