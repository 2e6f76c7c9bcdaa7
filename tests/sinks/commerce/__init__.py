"""What the tables show of money that moves outside."""
