"""Sanctions lists: files, tables and commands."""
