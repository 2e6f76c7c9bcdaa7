"""Postgres + the files of banks and providers → matches, breaks, adjustments, sign-off."""
