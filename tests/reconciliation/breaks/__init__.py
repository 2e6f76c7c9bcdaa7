"""Breaks over time."""
