"""Stream-time."""
