"""`seedstream export`: finished tasks in a training format, or any topic as JSON Lines."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import anyio
import typer

from service.bootstrap.open_run import open_existing
from service.cli import options
from service.cli.output_file import write
from service.cli.signals import say
from service.dataset.export import FORMATS, Format, as_jsonl
from service.errors import ConfigurationError
from service.messaging.messages import FinishedTask, Message
from service.messaging.topic_reader import Tail
from service.messaging.topics import ALL, TASKS
from service.settings import Settings

_TOPICS = {topic.name: topic for topic in ALL}


@options.expand_groups
def export(
    run: options.RunOptions,
    form: Annotated[Format, typer.Option("--format", help="Format of the finished tasks.")] = Format.JSONL,
    topic: Annotated[
        str | None,
        typer.Option("--topic", help=f"Export all records of this topic: {', '.join(_TOPICS)}.", metavar="TOPIC"),
    ] = None,
    output: options.Output = None,
) -> None:
    """Write finished tasks, or with --topic all records of a topic in order, to a file or to standard output.

    Exit codes: 0 everything is written; 1 records that could not be read were left out, or the log cannot be used;
    2 a setting is wrong, or the run does not exist.
    """
    if topic is not None and topic not in _TOPICS:
        raise ConfigurationError(f"--topic: expected one of {', '.join(_TOPICS)}, got {topic!r}")
    if topic is not None and form is not Format.JSONL:
        raise ConfigurationError(f"--topic {topic} is exported as jsonl only; omit --format {form}")
    settings = options.settings_from(run)
    left_out = anyio.run(_export, settings, form, topic, output)
    if left_out:
        say(f"{left_out} records could not be read and were left out")
        raise typer.Exit(1)


async def _export(settings: Settings, form: Format, topic: str | None, output: Path | None) -> int:
    """Write the export, and return how many records were left out."""
    source = TASKS if topic is None else _TOPICS[topic]
    async with open_existing(settings) as broker, Tail.of(broker, settings.run, [source]) as tail:
        messages = tail.messages_to_end()
        chunks = as_jsonl(messages) if topic is not None else FORMATS[form](_finished(messages))
        await write(chunks, output)
        return tail.unreadable


async def _finished(messages: AsyncIterator[Message]) -> AsyncIterator[FinishedTask]:
    async for message in messages:
        if isinstance(message, FinishedTask):
            yield message
