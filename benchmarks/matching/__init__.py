"""What matching a million lines with a million costs."""
