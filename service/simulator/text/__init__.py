"""The text that the simulator writes."""
