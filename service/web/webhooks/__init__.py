"""Webhooks: finished tasks are posted to addresses that the operator has named, signed and in batches."""

from service.web.webhooks.state import WEBHOOKS, routes

__all__ = ["WEBHOOKS", "routes"]
