"""Runs the stages of a run: all in one process, or some roles in each of several."""
