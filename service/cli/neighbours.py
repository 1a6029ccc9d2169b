"""`seedstream neighbours`: the nearest earlier tasks of each accepted task, as the original stores them."""

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
from service.messaging.topics import CONTROL, POOL
from service.settings import Settings


@options.expand_groups
def neighbours(
    run: options.RunOptions,
    output: options.Output = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Number of threads; default: one per core.", metavar="N")
    ] = None,
) -> None:
    """Write a JSON line for each accepted task: the ten nearest earlier tasks with scores, and the mean score.

    Each task is compared with all earlier tasks. This takes a second for thousands of tasks, minutes for 50,000.
    """
    settings = options.settings_from(run)
    with _bar(output) as report:
        anyio.run(_neighbours, settings, output, _at_most_the_cores(workers), report)


def _at_most_the_cores(workers: int | None) -> int:
    cores = os.cpu_count() or 1
    return min(workers or cores, cores)


async def _neighbours(settings: Settings, output: Path | None, workers: int, report: Callable[[float], None]) -> None:
    async with open_existing(settings) as broker, Tail.of(broker, settings.run, [CONTROL, POOL]) as tail:
        lines = _Told(as_neighbours(tail.messages_to_end(), workers, report))
        await write(lines.chunks(), output)
    if not lines.any:
        typer.echo("no task has been accepted yet", err=True)


class _Told:
    """Passes chunks on, and records whether any of them had content."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self.any = False

    async def chunks(self) -> Chunks:
        async for chunk in self._chunks:
            self.any = self.any or bool(chunk)
            yield chunk


@contextmanager
def _bar(output: Path | None) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal, unless the lines themselves are printed there."""
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
