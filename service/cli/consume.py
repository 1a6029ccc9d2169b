"""`seedstream consume`: the live stream of finished tasks as JSON Lines on standard output."""

import os
import re
from signal import SIGINT, SIGTERM, Signals
from typing import Annotated

import anyio
import structlog
import typer

from service.cli import options
from service.cli.signals import EXIT_SIGNALLED, Stopped, say
from service.cli.task_lines import StandardOutput, write_tasks
from service.client import Start, Subscription, Tasks, open_stream
from service.errors import ConfigurationError
from service.settings import Settings

log = structlog.get_logger()

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

    Exit codes: 0 the limit or the end is reached; 1 records that could not be read were skipped, or the log cannot be
    used; 2 a setting is wrong, or the run does not exist; 130, 143 or 141 stopped by Ctrl-C, SIGTERM or a closed pipe.
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
    output, stopped = StandardOutput(), Stopped()
    async with anyio.create_task_group() as background:
        async with open_stream(settings, subscription) as tasks:
            log.debug("consume.opened", run=settings.run, group=subscription.group)
            background.start_soon(_stop_on_signal, tasks, background.cancel_scope, stopped)
            background.start_soon(output.watch)
            await write_tasks(tasks, output, limit=limit, offsets=offsets)
        background.cancel_scope.cancel()
    if tasks.unreadable:
        say(f"{tasks.unreadable} records could not be read and were skipped")
    if stopped.by is not None:
        return EXIT_SIGNALLED + stopped.by
    return 1 if tasks.unreadable else 0


async def _stop_on_signal(tasks: Tasks, everything: anyio.CancelScope, stopped: Stopped) -> None:
    """At the first signal, end the stream, within two seconds even if the output is not read; at the second, exit."""
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for signal in signals:
            if stopped.by is not None:
                os._exit(EXIT_SIGNALLED + signal)
            stopped.by = Signals(signal)
            tasks.stop()
            everything.deadline = anyio.current_time() + _GRACE_S
