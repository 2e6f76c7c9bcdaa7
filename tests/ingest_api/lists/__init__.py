"""Lists of accounts and payments through a whole installation."""
