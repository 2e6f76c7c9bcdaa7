"""Webhook endpoints over HTTP: where a user or service wants to be told of events, and what became of each delivery."""
