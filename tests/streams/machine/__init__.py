"""Worlds of one to five shards under random commands, deliveries and restarts, beside independent models."""
