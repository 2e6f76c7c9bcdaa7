"""What a user has: time-based codes, recovery codes, and which actions need one."""
