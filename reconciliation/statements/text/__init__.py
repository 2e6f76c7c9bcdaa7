"""Formats of lines of text: SWIFT MT940/942, BAI2, NACHA, OFX."""
