"""Finished tasks over HTTP, as server-sent events or JSON Lines, from a position on."""

from service.web.streams.routes import routes

__all__ = ["routes"]
