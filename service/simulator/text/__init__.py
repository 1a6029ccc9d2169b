"""Generation of the simulator's text."""
