"""The plumbing that knows nothing of payments."""
