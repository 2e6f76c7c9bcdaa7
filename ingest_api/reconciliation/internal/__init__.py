"""Internal reconciliation over HTTP: findings, runs and repairs."""
