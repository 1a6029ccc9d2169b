"""`python -m tests.fakes.chat`: serve the chat model until an interrupt."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM

import anyio

from tests.fakes.chat.journal import Journal
from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.server import serve


def main() -> None:
    """Read the flags and serve. Every reply is a line of the journal's file as soon as it is written."""
    parser = argparse.ArgumentParser(prog="tests.fakes.chat", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=Path, help="a file to append to, one line of JSON for each reply")
    parser.add_argument("--ignore-stops", action="store_true", help="do not end replies at the request's stop strings")
    parser.add_argument("--enforce-schema", action="store_true", help="answer a request with a schema by bare JSON")
    flags = parser.parse_args()
    if flags.journal is None:
        return _run(flags, Journal())
    with flags.journal.open("a", encoding="utf-8", buffering=1) as file:
        return _run(flags, Journal(file.write))


def _run(flags: argparse.Namespace, journal: Journal) -> None:
    model = ChatModel(
        flags.seed, honours_stops=not flags.ignore_stops, enforces_schema=flags.enforce_schema, journal=journal
    )
    say: Callable[[str], object] = partial(print, file=sys.stderr, flush=True)
    anyio.run(_serve, model, flags.port, say)


async def _serve(model: ChatModel, port: int, say: Callable[[str], object]) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async with serve(model, port=port) as url:
            say(url)
            async for _ in signals:
                return


if __name__ == "__main__":
    main()
