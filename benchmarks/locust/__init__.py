"""Locust against the gateway."""
