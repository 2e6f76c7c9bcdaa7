"""Names against sanctions lists on the command line."""
