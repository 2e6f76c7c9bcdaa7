"""Faults of Postgres, the sink, the API and the clock."""
