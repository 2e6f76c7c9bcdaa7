"""Scheduled transfers over HTTP."""
