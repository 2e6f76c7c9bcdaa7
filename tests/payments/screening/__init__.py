"""Names compared, without any list."""
