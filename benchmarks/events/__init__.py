"""What it costs to tell the world."""
