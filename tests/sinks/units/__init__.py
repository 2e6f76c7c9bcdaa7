"""What the sinks compute before they reach Postgres."""
