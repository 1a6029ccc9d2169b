"""A TCP proxy that cuts connections after a number of bytes of the answer."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream


@dataclass
class CuttingProxy:
    """Passes connections to a target; each takes the next of `cuts`, and the ones behind the last are not cut."""

    target: tuple[str, int]
    cuts: list[int] = field(default_factory=list)
    url: str = ""
    connections: int = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, cuts: Iterable[int] = ()) -> AsyncIterator["CuttingProxy"]:
        host, _, port = url.removeprefix("http://").partition(":")
        proxy = cls((host, int(port)), list(cuts))
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            proxy.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
            tasks.start_soon(listener.serve, proxy._serve)
            yield proxy
            tasks.cancel_scope.cancel()

    async def _serve(self, client: SocketStream) -> None:
        left = self.cuts.pop(0) if self.cuts else None
        self.connections += 1
        async with client, await anyio.connect_tcp(*self.target) as server, anyio.create_task_group() as tasks:
            tasks.start_soon(_pass, client, server)
            await _pass(server, client, left)
            tasks.cancel_scope.cancel()


async def _pass(source: SocketStream, sink: SocketStream, left: int | None = None) -> None:
    """Pass bytes on until either side closes, or `left` bytes have passed."""
    try:
        while left is None or left > 0:
            piece = await source.receive(65_536 if left is None else left)
            await sink.send(piece)
            left = None if left is None else left - len(piece)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
