"""The load through the real API, the history of its callers, and what that history has to agree with."""
