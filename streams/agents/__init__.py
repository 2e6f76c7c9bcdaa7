"""One file per decision, authorise → post → take_back, and conclude; quarantine for what can't be decided."""
