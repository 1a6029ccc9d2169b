"""A run: what it is, what is wanted of it, and how far it is."""
