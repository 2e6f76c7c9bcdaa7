"""What callers send and nobody may keep."""
