"""The page: HTML shells, scripts, style and chart specifications, and the handlers that serve them."""

from aiohttp import web

from service.web.page.handlers import Page

__all__ = ["routes"]


def routes() -> list[web.RouteDef]:
    """Return the routes of the page. None of them needs a token: shells hold no data."""
    page = Page()
    return [
        web.get("/", page.runs),
        web.get("/login", page.login),
        web.get("/runs/{run}", page.run),
        web.get("/runs/{run}/tasks/{id}", page.task),
        web.get("/static/vega.js", page.vega),
        web.get("/static/{name:.+}", page.static),
        web.get("/charts/{name}.vl.json", page.chart),
    ]
