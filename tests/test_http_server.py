import asyncio
import gc
import socket

import pytest
from aiohttp import ClientSession, web

from service.http_server import serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("steps", range(6))
async def test_a_connection_accepted_at_the_end_is_closed(steps: int) -> None:
    async with serving(web.Application()) as address:
        host, port = address.split(":")
        with socket.socket() as late:
            late.settimeout(0)
            late.connect_ex((host, int(port)))
            # The server accepts it in one of these steps, and makes it its own in the next one.
            for _ in range(steps):
                await asyncio.sleep(0)
    gc.collect()  # a connection that nobody closed warns, and a warning fails the test


async def test_a_server_is_found_at_the_address_it_yields() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    app.add_routes([web.get("/", handle)])
    async with (
        serving(app) as address,
        ClientSession() as session,
        session.get(f"http://{address}/") as response,
    ):
        assert await response.text() == "here"


async def test_an_address_in_use_is_an_error() -> None:
    async with serving(web.Application()) as address:
        with pytest.raises(OSError, match="in use"):
            async with serving(web.Application(), port=int(address.split(":")[1])):
                pass
