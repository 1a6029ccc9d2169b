"""A language model on this machine, served by llama.cpp."""
