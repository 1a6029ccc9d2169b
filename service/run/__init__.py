"""A run: its definition, goal, progress and cost."""
