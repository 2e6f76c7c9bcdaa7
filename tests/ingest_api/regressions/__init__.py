"""Bugs that were reported of other systems, each as a test with its own name."""
