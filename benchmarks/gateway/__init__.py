"""What the load plans of benchmarks/jmeter and benchmarks/locust have in common."""
