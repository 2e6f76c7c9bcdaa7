"""`millrace statement` and `millrace balance`: an account's month in any format, and how it stood at a time."""
