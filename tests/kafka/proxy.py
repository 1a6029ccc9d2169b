"""A proxy between clients and a broker that can cut the network: bytes wait, and nobody is told."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import anyio
from anyio.abc import SocketStream
from anyio.from_thread import BlockingPortal, start_blocking_portal

_CHUNK = 1 << 16
_JOIN_GROUP = (11).to_bytes(2, "big")
_API_KEY = slice(4, 6)


class Proxy:
    """Passes on what clients of one port and the server at another say to each other.

    A client has a connection for its group, with heartbeats and commits, and others for records. Each may hang alone.
    """

    def __init__(self, portal: BlockingPortal, server_port: int) -> None:
        self._portal = portal
        self._server_port = server_port
        self._whole = {True: anyio.Event(), False: anyio.Event()}
        self._of_groups: set[SocketStream] = set()

    @classmethod
    @contextmanager
    def start(cls, port: int, server_port: int) -> "Iterator[Proxy]":
        with start_blocking_portal() as portal:
            proxy = cls(portal, server_port)
            proxy.mend()
            listener = portal.call(lambda: anyio.create_tcp_listener(local_host="localhost", local_port=port))
            serving = portal.start_task_soon(listener.serve, proxy._connect)
            try:
                yield proxy
            finally:
                serving.cancel()
                portal.call(listener.aclose)

    def cut(self, *, only_groups: bool = False) -> None:
        """Hold back all bytes in both directions, as TCP does while packets are lost."""

        def cut() -> None:
            for of_group in {True, only_groups}:
                self._whole[of_group] = anyio.Event()

        self._portal.call(cut)

    def mend(self) -> None:
        """Pass on what was held back, and all that follows."""
        for whole in self._whole.values():
            self._portal.call(whole.set)

    async def _connect(self, client: SocketStream) -> None:
        async with (
            client,
            await anyio.connect_tcp("localhost", self._server_port) as server,
            anyio.create_task_group() as both,
        ):
            both.start_soon(self._pass_on, client, server, client)
            await self._pass_on(server, client, client)
            both.cancel_scope.cancel()
        self._of_groups.discard(client)

    async def _pass_on(self, source: SocketStream, target: SocketStream, client: SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                found = await source.receive(_CHUNK)
                if source is client and found[_API_KEY] == _JOIN_GROUP:
                    self._of_groups.add(client)
                await self._whole[client in self._of_groups].wait()
                await target.send(found)
