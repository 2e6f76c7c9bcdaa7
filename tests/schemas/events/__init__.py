"""The public events on the wire."""
