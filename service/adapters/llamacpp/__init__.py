"""A local language model, served by llama.cpp."""
