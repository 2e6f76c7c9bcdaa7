"""The exactly-once engine on a real broker: a small application, faults, and a verifier that shares no code with it."""
