"""Postgres: the programs, and the cluster that keeps the books."""
