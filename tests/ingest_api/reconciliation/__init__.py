"""Reconciliation over HTTP."""
