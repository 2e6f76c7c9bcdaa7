"""One file per decision, in stream order: authorise → post → take_back; quarantine for what can't be decided."""
