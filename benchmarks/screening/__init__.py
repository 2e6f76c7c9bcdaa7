"""What screening costs, and what its index loses."""
