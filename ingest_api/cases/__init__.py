"""The review queue: payments that a rule holds, why, and what analysts decide."""
