"""Measurements: each is a script, prints a ratio to a baseline of the same run, and never fails for being slow."""
