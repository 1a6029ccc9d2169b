"""`seedstream replay`: put dead letters back into their topics after a fix."""

import sys
from collections.abc import Sequence
from typing import Annotated

import anyio
import typer

from producers.replay import DeadLetterReplay, Tally
from service.bootstrap.open_broker import open_log
from service.bootstrap.open_run import open_existing
from service.cli import options
from service.cli.terminal_text import clean
from service.errors import ConfigurationError
from service.messaging.dead_letters import STAGE_INPUTS, DeadLetter
from service.messaging.messages import Message
from service.messaging.topics import Topic
from service.settings import Settings

_NAMES = ", ".join(topic.name for topic in STAGE_INPUTS)


@options.expand_groups
def replay(
    *,
    topic: Annotated[
        list[str] | None, typer.Argument(help=f"Topics to replay, of {_NAMES}; default: all.", metavar="TOPIC")
    ] = None,
    run: options.RunOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the dead letters and their reasons; put nothing back.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Put back or list at most this many.", metavar="N")] = None,
) -> None:
    """Put dead letters back into their topics, each exactly once; unreadable ones become dead letters again.

    A dead letter that lacks a part of a very large record, or that is too large itself, is reported and left alone.
    Use it after the cause is fixed, for example with a newer version of Seedstream that can read the records.
    """
    chosen = _chosen(topic or [])
    settings = options.settings_from(run)
    if dry_run:
        for letter in anyio.run(_waiting, settings, chosen, limit or sys.maxsize):
            reason = f"{letter.reason} ({letter.stays})" if letter.stays is not None else letter.reason
            typer.echo("\t".join(_line(part) for part in (letter.topic, letter.place, letter.id, reason)))
        return
    tally = anyio.run(_replay, settings, chosen, limit or sys.maxsize)
    for name in tally.topics:
        staying = f", {tally.staying[name]} cannot be put back" if tally.staying[name] else ""
        typer.echo(f"{name}: {tally.put_back[name]} put back, {tally.remaining[name]} remain{staying}")
    if not tally.topics:
        typer.echo("no dead letters to put back", err=True)


def _chosen(names: Sequence[str]) -> list[Topic[Message]]:
    for name in names:
        if name not in [topic.name for topic in STAGE_INPUTS]:
            raise ConfigurationError(
                f"expected one of {_NAMES}, got {name!r}: only the input topics of stages have dead letters"
            )
    return [topic for topic in STAGE_INPUTS if topic.name in names or not names]


async def _waiting(settings: Settings, chosen: Sequence[Topic[Message]], limit: int) -> list[DeadLetter]:
    async with open_existing(settings) as broker:
        letters = await DeadLetterReplay(broker, settings.run, chosen).waiting()
    return letters[:limit]


async def _replay(settings: Settings, chosen: Sequence[Topic[Message]], limit: int) -> Tally:
    async with open_existing(settings):
        pass
    async with open_log(settings) as broker:
        return await DeadLetterReplay(broker, settings.run, chosen).run(limit)


def _line(text: str) -> str:
    return " ".join(clean(text).split())
