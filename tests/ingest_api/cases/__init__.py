"""The review queue and the verdict on an attempt, through a whole installation."""
