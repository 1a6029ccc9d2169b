"""Finished tasks over HTTP, as server-sent events or JSON Lines, from a position on."""
