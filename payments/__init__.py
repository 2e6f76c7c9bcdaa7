"""The pure core: what is true about money. No I/O, clock, randomness or framework stands here."""
