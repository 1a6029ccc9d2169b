"""Asking a language model: the port, its errors, how many calls at once, when to try again."""
