"""Writes a stream to one client, which has a limited time to read what waits for it.

Little waits in this process: writing pauses while the operating system takes no more (`_SEND_BUFFER_BYTES`) and the
transport holds 64 KiB, and a batch is read only when the one before it was written.
"""

import socket
import struct
import zlib
from asyncio.trsock import TransportSocket

import anyio
from aiohttp import web

_SEND_BUFFER_BYTES = 256 * 1024
# Fast, and text shrinks to a third; the header and the trailer are those of gzip.
_LEVEL, _GZIP = 1, 31
_LINGERS_NOT = struct.pack("ii", 1, 0)


class SlowReaderError(Exception):
    """A client has not read what was sent to it within its time, and its connection was closed."""


class Sender:
    """A response that is being streamed; a client has `patience_s` to make room for each piece."""

    def __init__(self, request: web.Request, response: web.StreamResponse, patience_s: float) -> None:
        self._request = request
        self._response = response
        self._patience_s = patience_s
        self._compressed = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if _is_compressed(response) else None
        self._write_scope: anyio.CancelScope | None = None
        self.sent_s = anyio.current_time()

    def hurry(self, within_s: float) -> None:
        """Give the client less time for what is being sent, and for what comes."""
        self._patience_s = min(self._patience_s, within_s)
        if self._write_scope is not None:
            self._write_scope.deadline = min(self._write_scope.deadline, anyio.current_time() + within_s)

    async def begin(self) -> None:
        """Send the headers."""
        _bound_send_buffer(self._request)
        await self._response.prepare(self._request)

    async def send(self, data: bytes) -> None:
        """Send a piece whole.

        Raises:
            SlowReaderError: the client was too slow.
            ConnectionError: the client has left.
        """
        if self._compressed is not None:
            data = self._compressed.compress(data) + self._compressed.flush(zlib.Z_SYNC_FLUSH)
        await self._write(data)
        self.sent_s = anyio.current_time()

    async def finish(self) -> None:
        """End the body."""
        if self._compressed is not None:
            await self._write(self._compressed.flush())
        with anyio.move_on_after(self._patience_s):
            await self._response.write_eof()

    async def _write(self, data: bytes) -> None:
        with anyio.move_on_after(self._patience_s) as self._write_scope:
            await self._response.write(data)
        if self._write_scope.cancelled_caught:
            _reset(self._request)
            raise SlowReaderError


def _is_compressed(response: web.StreamResponse) -> bool:
    return response.headers.get("Content-Encoding") == "gzip"


def _bound_send_buffer(request: web.Request) -> None:
    """Bound what the operating system keeps for a client, which is up to megabytes for each otherwise."""
    if (found := _tcp_socket(request)) is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


def _reset(request: web.Request) -> None:
    """Close a connection and drop what waits in it: a client that does not read would keep it for minutes more."""
    if (found := _tcp_socket(request)) is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGERS_NOT)
    if request.transport is not None:
        request.transport.abort()


def _tcp_socket(request: web.Request) -> TransportSocket | None:
    found = None if request.transport is None else request.transport.get_extra_info("socket")
    return found if found is not None and found.family in {socket.AF_INET, socket.AF_INET6} else None
