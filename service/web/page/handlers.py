"""Handlers of the page: shells without data, scripts, style, chart specifications and the bundle of Vega.

The shells are the same for every run and task. Scripts fill them from the REST API, so that no text of the model
passes through a template.
"""

from http import HTTPStatus

from aiohttp import web

from service.web.content_security import content_security_policy
from service.web.page.assets import Assets
from service.web.page.vega import VegaBundle
from service.web.problems import ProblemError

# Vega-Embed and its tooltips bring a style element each; they are allowed by their hashes, and no other is.
_VEGA_STYLES = (
    "'sha256-9uoGUaZm3j6W7+Fh2wfvjI8P7zXcclRw5tVUu3qKZa0='",
    "'sha256-MmUum7+PiN7Rz79EUMm0OmUFWjCx6NZ97rdjoIbTnAg='",
)
_OF_SHELLS = {"Content-Security-Policy": content_security_policy(*_VEGA_STYLES)}


class Page:
    """Handlers that share the files in memory."""

    def __init__(self) -> None:
        self._assets = Assets()
        self._vega = VegaBundle()

    async def runs(self, request: web.Request) -> web.Response:
        """Answer with the page of all runs."""
        return await self._shell(request, "runs")

    async def run(self, request: web.Request) -> web.Response:
        """Answer with the page of a run."""
        return await self._shell(request, "run")

    async def task(self, request: web.Request) -> web.Response:
        """Answer with the page of a task."""
        return await self._shell(request, "task")

    async def login(self, request: web.Request) -> web.Response:
        """Answer with the page that takes a token."""
        return await self._shell(request, "login")

    async def static(self, request: web.Request) -> web.Response:
        """Answer with a script, a style sheet or a picture."""
        return await self._file(request, f"static/{request.match_info['name']}")

    async def chart(self, request: web.Request) -> web.Response:
        """Answer with the Vega-Lite specification of a chart."""
        return await self._file(request, f"charts/{request.match_info['name']}.vl.json")

    async def vega(self, request: web.Request) -> web.Response:
        """Answer with the bundle that draws charts."""
        bundle = await self._vega.get()
        if bundle is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "charts need the package vl-convert-python, which is not installed here",
                command="pip install 'seedstream[web]'",
            )
        return bundle.answer(request)

    async def _shell(self, request: web.Request, name: str) -> web.Response:
        return await self._file(request, f"static/{name}.html", _OF_SHELLS)

    async def _file(self, request: web.Request, name: str, headers: dict[str, str] | None = None) -> web.Response:
        asset = await self._assets.find(name)
        if asset is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no file {request.path} in the page")
        return asset.answer(request, headers)
