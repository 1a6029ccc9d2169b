"""`seedstream neighbours`: for each accepted task the nearest before it and the mean score, as the original stores."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.progress import Progress

from service.bootstrap.open_run import open_existing
from service.cli import options
from service.cli.output_file import write
from service.dataset.export import Chunks
from service.dataset.neighbours import as_neighbours
from service.messaging.topic_reader import Tail
from service.messaging.topics import POOL
from service.settings import Settings


def neighbours(
    broker: options.Broker = None,
    run: options.Run = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write; standard output where none, or -, is named.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Threads that compare; one for each core.", metavar="N")
    ] = None,
) -> None:
    """Write a JSON line for each accepted task: the ten nearest before it with their scores, and the mean score.

    Every task is compared with all that were in the pool when it came: a second for thousands, minutes for 50,000.
    """
    settings = options.settings_from(broker=broker, run=run)
    with _bar(output) as report:
        anyio.run(_neighbours, settings, output, _at_most_the_cores(workers), report)


def _at_most_the_cores(workers: int | None) -> int:
    cores = os.cpu_count() or 1
    return min(workers or cores, cores)


async def _neighbours(settings: Settings, output: Path | None, workers: int, report: Callable[[float], None]) -> None:
    async with open_existing(settings) as broker, Tail.of(broker, settings.run, [POOL]) as tail:
        lines = _Told(as_neighbours(tail.messages_to_end(), workers, report))
        await write(lines.chunks(), output)
    if not lines.any:
        typer.echo("no task has been accepted yet", err=True)


class _Told:
    """Chunks that pass by, and whether there was anything in them."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.any = False

    async def chunks(self) -> Chunks:
        async for chunk in self._chunks:
            self.any = self.any or bool(chunk)
            yield chunk


@contextmanager
def _bar(output: Path | None) -> Iterator[Callable[[float], None]]:
    """Show how far it has got, on a terminal where no lines scroll by."""
    console = Console(stderr=True)
    scrolls = (output is None or str(output) == "-") and sys.stdout is not None and sys.stdout.isatty()
    with Progress(
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=scrolls or not console.is_terminal,
    ) as progress:
        task = progress.add_task("comparing", total=1.0)
        yield lambda share: progress.update(task, completed=share)
