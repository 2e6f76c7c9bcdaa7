"""What strangers send to the HTTP side, and what becomes of it."""
