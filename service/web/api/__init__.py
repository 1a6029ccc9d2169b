"""REST handlers, and the OpenAPI document that describes them."""
