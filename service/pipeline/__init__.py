"""Processes: all of a run in one, or some of its roles."""
