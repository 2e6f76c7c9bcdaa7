"""Formats that are text: MT940 and MT942, BAI2, OFX."""
