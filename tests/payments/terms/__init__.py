"""Tests of the terms of transfers, against slow and obvious models."""
