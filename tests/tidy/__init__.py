"""The house's style as tests: sizes with a budget, and bans that name what to use instead."""
