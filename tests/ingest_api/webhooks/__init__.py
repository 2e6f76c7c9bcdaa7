"""Webhook endpoints and events over HTTP, with the app in memory and a real Postgres."""
