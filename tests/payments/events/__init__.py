"""Public events: what the world is told of each entry."""
