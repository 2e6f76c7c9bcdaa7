"""Quotes, fees and the file of terms."""
