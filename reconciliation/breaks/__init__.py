"""Breaks over time: who they are, how old, what may happen to them, and what people did about them."""
