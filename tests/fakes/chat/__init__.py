"""A scripted chat model: it writes tasks in the ways of real chat models, and remembers what it meant."""
