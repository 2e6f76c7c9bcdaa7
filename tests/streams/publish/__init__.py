"""publish: one public event per change, in order, exactly once."""
