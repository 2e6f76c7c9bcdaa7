"""What one API process has answered and holds now, for Prometheus."""
