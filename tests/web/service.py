"""The live service in the process of a test, on a free port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from aiohttp import ClientResponse, ClientSession, DummyCookieJar
from yarl import URL

from service.settings import load_settings
from service.web.server.start import serving_runs

READER, STEERER, ADMIN = (f"{name}-token-0123456789" for name in ("reader", "steerer", "admin"))
TOKENS = f"# tokens\nrita:read:{READER}\nstan:read,steer:{STEERER}\nanna:admin:{ADMIN}\n"
JSON = {"Content-Type": "application/json"}
_DEADLINE_S = 30.0
_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Service:
    """A service, and a client that sends paths to it and keeps no cookies by itself."""

    url: URL
    client: ClientSession

    @property
    def own_page(self) -> dict[str, str]:
        """Headers that a browser sends for the service's own page."""
        return {"Origin": str(self.url.origin())}

    async def ask(self, method: str, path: str, **given: Any) -> ClientResponse:
        """Send a request, and read the answer to its end."""
        async with self.client.request(method, path, **given) as answer:
            await answer.read()
            return answer

    async def get(self, path: str, **given: Any) -> ClientResponse:
        """Read something."""
        return await self.ask("GET", path, **given)

    async def post(self, path: str, **given: Any) -> ClientResponse:
        """Add something."""
        return await self.ask("POST", path, **given)

    async def login(self, token: str, **headers: str) -> ClientResponse:
        """Begin a session as the page does."""
        return await self.post("/login", json={"token": token}, headers=self.own_page | headers)

    async def session(self, token: str) -> dict[str, str]:
        """Begin a session, and return the header of its cookie."""
        answer = await self.login(token)
        return {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}


def bearer(token: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"Authorization": f"Bearer {token}"}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until something holds."""
    with anyio.fail_after(_DEADLINE_S):
        while not await condition():  # noqa: ASYNC110 - the service tells nobody
            await anyio.sleep(_EVERY_S)


@asynccontextmanager
async def served(folder: Path, **settings: Any) -> AsyncIterator[Service]:
    """Serve the runs in a folder."""
    flags = {"broker": f"sqlite:{folder}", "web_port": 0} | settings
    loaded = await anyio.to_thread.run_sync(load_settings, flags)
    async with serving_runs(loaded, {}) as url, ClientSession(url, cookie_jar=DummyCookieJar()) as client:
        yield Service(URL(url), client)
