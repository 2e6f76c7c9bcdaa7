"""OpenRec charters: its own examples, its own answers."""
