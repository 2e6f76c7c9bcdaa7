"""Apache JMeter against the gateway."""
