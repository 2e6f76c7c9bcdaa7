"""Webhooks on their way out: to real HTTP servers, from a real Postgres."""
