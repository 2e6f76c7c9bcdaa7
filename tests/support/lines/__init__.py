"""Lines to real servers that a test slows, cuts, holds or leaves half open."""
