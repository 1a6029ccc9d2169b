"""`seedstream export`: the finished tasks in the form that a trainer reads, or any topic as JSON Lines."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import anyio
import typer
from anyio import to_thread

from service.commands import options
from service.dataset.export import FORMATS, Chunks, Format, as_jsonl
from service.errors import ConfigurationError, OutputClosedError
from service.inspection import open_existing
from service.messages import FinishedTask, Message
from service.replay import Tail
from service.settings import Settings
from service.topics import ALL, TASKS

_TOPICS = {topic.name: topic for topic in ALL}


def export(
    broker: options.Broker = None,
    run: options.Run = None,
    form: Annotated[Format, typer.Option("--format", help="The form of finished tasks.")] = Format.JSONL,
    topic: Annotated[
        str | None, typer.Option("--topic", help=f"Export this topic, whole: {', '.join(_TOPICS)}.", metavar="TOPIC")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write; standard output where none, or -, is named.")
    ] = None,
) -> None:
    """Write finished tasks, or with --topic every record of a topic in order, to a file or to standard output."""
    if topic is not None and topic not in _TOPICS:
        raise ConfigurationError(f"--topic: expected one of {', '.join(_TOPICS)}, got {topic!r}")
    if topic is not None and form is not Format.JSONL:
        raise ConfigurationError(f"--topic {topic} is exported as jsonl only; leave --format {form} out")
    settings = options.settings_from(broker=broker, run=run)
    anyio.run(_export, settings, form, topic, output)


async def _export(settings: Settings, form: Format, topic: str | None, output: Path | None) -> None:
    source = TASKS if topic is None else _TOPICS[topic]
    async with open_existing(settings) as broker, Tail.of(broker, settings.run, [source]) as tail:
        messages = tail.messages_to_end()
        chunks = as_jsonl(messages) if topic is not None else FORMATS[form](_finished(messages))
        if output is None or str(output) == "-":
            await _to_stdout(chunks)
        else:
            await _to_file(chunks, anyio.Path(output))


async def _finished(messages: AsyncIterator[Message]) -> AsyncIterator[FinishedTask]:
    async for message in messages:
        if isinstance(message, FinishedTask):
            yield message


async def _to_stdout(chunks: Chunks) -> None:
    if sys.stdout is None:
        raise OutputClosedError("standard output is closed")
    try:
        async for chunk in chunks:
            await to_thread.run_sync(sys.stdout.buffer.write, chunk)
        await to_thread.run_sync(sys.stdout.buffer.flush)
    except BrokenPipeError as error:
        raise OutputClosedError("nobody reads the export any more") from error
    except OSError as error:
        raise ConfigurationError(f"standard output: expected to write the export there: {error}") from error


async def _to_file(chunks: Chunks, output: anyio.Path) -> None:
    """Write an export to a path; what cannot be replaced (a device, a pipe) is written to as it is."""
    try:
        if await output.exists() and not await output.is_file():
            await _write(chunks, output)
        else:
            await _replace(chunks, await output.resolve())
    except OSError as error:
        raise ConfigurationError(f"{output}: expected a file that can be written: {error.strerror}") from error


async def _replace(chunks: Chunks, target: anyio.Path) -> None:
    """Write beside a file, then put it in its place: what was there stays until the new one is whole."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        await _write(chunks, partial)
        await partial.replace(target)
    finally:
        with anyio.CancelScope(shield=True):
            await partial.unlink(missing_ok=True)


async def _write(chunks: Chunks, target: anyio.Path) -> None:
    async with await target.open("wb") as file:
        async for chunk in chunks:
            await file.write(chunk)
