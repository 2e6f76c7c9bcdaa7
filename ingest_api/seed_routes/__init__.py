"""Literal paths of the source documents that are not there under a name of our own, and their words."""
