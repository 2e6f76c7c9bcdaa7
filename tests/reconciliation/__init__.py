"""Reconciliation: matching, tie-out, generated settlement files."""
