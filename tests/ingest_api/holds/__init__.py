"""Holds through a whole installation."""
