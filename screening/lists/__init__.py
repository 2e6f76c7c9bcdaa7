"""Published list files → entries, one module a publisher. Nothing is left out without being counted."""
