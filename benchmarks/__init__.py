"""Benchmarks. Each script prints a ratio to a baseline of the same run, and never fails because it is slow."""
