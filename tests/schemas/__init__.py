"""Tests of the contract between stages."""
