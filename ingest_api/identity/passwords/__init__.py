"""What a user knows: password hashes, rules for passwords, and how often they may be guessed at."""
