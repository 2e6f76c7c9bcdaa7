"""Users whom somebody else knows."""
