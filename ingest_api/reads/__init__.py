"""Reads from Postgres, after the sinks have passed the position that the caller has seen."""
