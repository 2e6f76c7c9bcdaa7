"""Pure: lines of two or more sides and a rule set → matches, breaks and why. No I/O, clock or randomness."""
