"""The registry of schemas, as its own clients use it."""
