"""Routes of the REST API."""

from aiohttp import web

from service.web.api.openapi import show_document
from service.web.api.operations import OPERATIONS


def routes() -> list[web.RouteDef]:
    return [*(operation.route() for operation in OPERATIONS), web.get("/openapi.json", show_document)]
