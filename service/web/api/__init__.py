"""REST handlers, and the OpenAPI document that describes them."""

from service.web.api.routes import routes

__all__ = ["routes"]
