"""Breaks: the list, one of them with all that is known about it, and what people do about it."""
