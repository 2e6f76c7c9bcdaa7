"""The wire protocol to the broker, against hand-made answers."""
