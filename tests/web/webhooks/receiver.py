"""A receiver of webhooks: it checks signatures, and refuses as often as it is told to."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import orjson
from aiohttp import web

from service.http_server import serving
from service.web.webhooks.signature import is_signed
from tests.support.logs import DEADLINE_S

SECRET = b"a secret of thirty-two characters"


@dataclass
class Receiver:
    """Deliveries that were taken, and the ids of all that came. `refusals` are answered first, each once."""

    url: str = ""
    refusals: list[web.Response] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    came: list[str] = field(default_factory=list)
    unsigned: int = 0
    _news: anyio.Event = field(default_factory=anyio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.came.append(headers.get("webhook-id", ""))
        self._news.set()
        self._news = anyio.Event()
        if not is_signed(SECRET, headers, body, time.time()):
            self.unsigned += 1
            return web.Response(status=401)
        if self.refusals:
            return self.refusals.pop(0)
        self.taken.append(orjson.loads(body))
        return web.Response(status=204)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the tasks that were taken, in order."""
        return [task["task_seq"] for each in self.taken for task in each["tasks"]]

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(DEADLINE_S):
            while not holds():
                await self._news.wait()
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    async with serving(app) as address:
        receiver.url = f"http://{address}/take/it"
        yield receiver
