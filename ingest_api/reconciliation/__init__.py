"""Reconciliation over HTTP, and its reports as files: `millrace recon` makes the same ones."""
