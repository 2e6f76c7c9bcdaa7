"""Faults under load, and a verifier that shares no code with what it checks: `python -m tests.faults --list`."""
