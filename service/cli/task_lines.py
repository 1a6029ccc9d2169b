"""Finished tasks as JSON Lines on standard output."""

import os
import select
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress

import anyio
from anyio import to_thread

from service.cli.terminal_text import safe_json
from service.client import Delivery, Tasks
from service.errors import ConfigurationError, OutputClosedError

_AT_ONCE = 100


class StandardOutput:
    """Standard output without Python's buffer: when `write` returns, the data is in the pipe or file.

    `write` waits while a pipe is full. The wait can be cancelled, because no write is larger than the free space of the
    pipe. A kill cuts no line that fits `PIPE_BUF` (4,096 bytes), since such a line is written whole.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise OutputClosedError("standard output is closed")
        self._file = sys.stdout.fileno()
        self._is_pipe = stat.S_ISFIFO(os.fstat(self._file).st_mode)
        self._is_terminal = sys.stdout.isatty()

    async def write(self, data: bytes) -> None:
        rest = memoryview(safe_json(data) if self._is_terminal else data)
        while rest:
            with suppress(PermissionError):  # a regular file is always ready, and cannot be polled
                await anyio.wait_writable(self._file)
            rest = rest[await to_thread.run_sync(self._write_ready, rest) :]

    async def watch(self) -> None:
        """Raise an error when the reader of a pipe closes it, even if no data is being written."""
        if self._is_pipe:
            await anyio.wait_readable(self._file)
            if self._is_broken():
                raise OutputClosedError("the reader of the tasks has closed the pipe")

    def _is_broken(self) -> bool:
        poll = select.poll()
        poll.register(self._file, 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))

    def _write_ready(self, data: memoryview) -> int:
        """Write lines as long as the output takes them at once; return the number of bytes written."""
        done = 0
        while done < len(data) and (not done or self._is_ready()):
            written = self._write_some(_whole_lines(data[done:]))
            if not written:
                break
            done += written
        return done

    def _is_ready(self) -> bool:
        poll = select.poll()
        poll.register(self._file, select.POLLOUT)
        return bool(poll.poll(0))

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._file, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError as error:
            raise OutputClosedError("the reader of the tasks has closed the pipe") from error
        except OSError as error:
            raise ConfigurationError(f"standard output: cannot write tasks: {error}") from error


def _whole_lines(data: memoryview) -> memoryview:
    """Return the first lines of the data that fit `PIPE_BUF` together, or a part of a longer line."""
    first = bytes(data[: select.PIPE_BUF])
    return data[: first.rfind(b"\n") + 1 or len(first)]


async def write_tasks(tasks: Tasks, output: StandardOutput, *, limit: int | None = None, offsets: bool = False) -> None:
    """Write tasks until the stream ends or `limit` is reached; a task is done once it is written."""
    written = 0
    while limit is None or written < limit:
        taken = await tasks.take(_AT_ONCE if limit is None else min(_AT_ONCE, limit - written))
        if not taken:
            return
        await output.write(b"".join(_lines(taken, offsets)))
        tasks.done()
        written += len(taken)


def _lines(deliveries: Iterable[Delivery], offsets: bool) -> Iterable[bytes]:
    for record in (delivery.record for delivery in deliveries):
        line = b" ".join((record.value or b"").splitlines())
        if offsets:
            place = b',"partition":%d,"offset":%d}' % (record.partition.number, record.offset)
            line = line.rstrip().removesuffix(b"}") + place
        yield line + b"\n"
