"""Measurements of the whole pipeline on real parts. Never part of the tests; results are committed with machine and
date.
"""
