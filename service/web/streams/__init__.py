"""Finished tasks over HTTP, as server-sent events or JSON Lines, from a position on."""

from service.web.streams.routes import negotiated, routes

__all__ = ["negotiated", "routes"]
