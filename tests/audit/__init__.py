"""Tests of `millrace audit verify`."""
