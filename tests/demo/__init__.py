"""Tests of `millrace demo`: its parts, and the whole of it with crashes on real servers."""
