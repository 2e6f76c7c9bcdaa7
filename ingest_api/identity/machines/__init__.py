"""Machines: API keys and signed requests. The door in front of the app turns either into a bearer token of its own."""
