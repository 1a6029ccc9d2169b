"""`seedstream consume`: the live stream of finished tasks as JSON Lines on standard output."""

import os
import re
import select
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from signal import SIGINT, SIGTERM, Signals
from typing import Annotated

import anyio
import structlog
import typer
from anyio import to_thread

from service.cli import options
from service.cli.signals import EXIT_SIGNALLED, Stopped, say
from service.client import Delivery, Start, Subscription, Tasks, open_stream
from service.errors import ConfigurationError, OutputClosedError
from service.settings import Settings

log = structlog.get_logger()

_AT_ONCE = 100
_GRACE_S = 2.0
_PLACES: dict[str, Start] = {"beginning": "beginning", "now": "now"}
_OFFSETS = re.compile(r"\d{1,9}:\d{1,18}(?:,\d{1,9}:\d{1,18})*", re.ASCII)


@options.expand_groups
def consume(
    run: options.RunOptions,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start of the stream: beginning (the default), now, or offsets: PARTITION:OFFSET,….",
            metavar="PLACE",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="Consumer group: its members share the stream, and it continues at its last commit.",
            metavar="NAME",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Stop after this many tasks.", metavar="N", min=1)
    ] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the current end of the stream.")] = False,
    offsets: Annotated[bool, typer.Option("--offsets", help="Add partition and offset to each line.")] = False,
    log_level: options.LogLevel = None,
) -> None:
    """Write finished tasks to standard output as they arrive, until --limit, --until-end or a signal stops it.

    With --group, one member of the group writes each task, at least once. Written tasks are committed every second and
    at the end.

    Exit codes: 0 the limit or the end is reached; 1 the log cannot be used; 2 a setting is wrong, or the run does not
    exist; 130, 143 or 141 stopped by Ctrl-C, SIGTERM or a closed pipe.
    """
    subscription = Subscription(_start(start), group, until_end, auto_commit=group is not None)
    settings = options.settings_from(run, log_level=log_level)
    raise typer.Exit(anyio.run(_consume, settings, subscription, limit, offsets))


def _start(text: str | None) -> Start | None:
    if text is None:
        return None
    if text in _PLACES:
        return _PLACES[text]
    if _OFFSETS.fullmatch(text) is None:
        raise ConfigurationError(f"--from: expected beginning, now, or offsets such as 0:17,3:4, got {text!r}")
    pairs = [pair.split(":") for pair in text.split(",")]
    places = {int(number): int(offset) for number, offset in pairs}
    if len(places) < len(pairs):
        raise ConfigurationError(f"--from: expected each partition once, got {text!r}")
    return places


async def _consume(settings: Settings, subscription: Subscription, limit: int | None, offsets: bool) -> int:
    """Write tasks until the limit or the end of the stream, and return the exit code."""
    output, stopped = _Output(), Stopped()
    async with anyio.create_task_group() as background:
        async with open_stream(settings, subscription) as tasks:
            log.debug("consume.opened", run=settings.run, group=subscription.group)
            background.start_soon(_stop_on_signal, tasks, background.cancel_scope, stopped)
            background.start_soon(output.watch)
            await _write(tasks, output, limit, offsets)
        background.cancel_scope.cancel()
    if tasks.unreadable:
        say(f"{tasks.unreadable} records could not be read and were skipped")
    return 0 if stopped.by is None else EXIT_SIGNALLED + stopped.by


async def _write(tasks: Tasks, output: "_Output", limit: int | None, offsets: bool) -> None:
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


async def _stop_on_signal(tasks: Tasks, everything: anyio.CancelScope, stopped: Stopped) -> None:
    """At the first signal, end the stream, within two seconds even if the output is not read; at the second, exit."""
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for signal in signals:
            if stopped.by is not None:
                os._exit(EXIT_SIGNALLED + signal)
            stopped.by = Signals(signal)
            tasks.stop()
            everything.deadline = anyio.current_time() + _GRACE_S


class _Output:
    """Standard output without Python's buffer: when `write` returns, the data is in the pipe or file.

    `write` waits while a pipe is full. The wait can be cancelled, because no write is larger than the free space of the
    pipe.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise OutputClosedError("standard output is closed")
        self._file = sys.stdout.fileno()
        self._is_pipe = stat.S_ISFIFO(os.fstat(self._file).st_mode)

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            with suppress(PermissionError):  # a regular file is always ready, and cannot be polled
                await anyio.wait_writable(self._file)
            rest = rest[await to_thread.run_sync(self._write_some, rest[: select.PIPE_BUF]) :]

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

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._file, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError as error:
            raise OutputClosedError("the reader of the tasks has closed the pipe") from error
        except OSError as error:
            raise ConfigurationError(f"standard output: cannot write tasks: {error}") from error
