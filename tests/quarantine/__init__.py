"""Quarantine from end to end: set aside, shown, redriven once, discarded, rebuilt."""
