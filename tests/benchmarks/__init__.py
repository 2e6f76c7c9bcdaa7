"""Tests of the benchmarks' own arithmetic: a figure is only worth what its instrument is."""
