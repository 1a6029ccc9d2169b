# ruff: noqa: INP001 - a script, not a package
"""Follow the finished tasks of a run over HTTP, and go on after the last one that was written, also after a crash.

    python examples/http_stream.py http://localhost:8080 default tasks.jsonl
    python examples/http_stream.py https://seeds.example.org telecom tasks.jsonl --token-file token --classification yes

Each line of the file holds a task and the position behind it. Another start reads the position in the last whole line
and continues there, so that the file holds each task once, whatever ended the program before. A program that keeps its
results in a database writes the position in the same transaction.
"""

import argparse
import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from service.client.http import FinishedTask, TaskFilter, open_tasks_http


class Row(Struct):
    """A line of the file."""

    position: str
    task: FinishedTask


def last_position(file: Path) -> str:
    """Return the position in the last whole line, and cut off what stands behind it."""
    end, last = 0, b""
    with file.open("r+b") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                end, last = end + len(line), line
        lines.truncate(end)
    return msgspec.json.decode(last, type=Row).position if last else "beginning"


async def follow(chosen: argparse.Namespace) -> None:
    """Append tasks to the file as they come."""
    chosen.file.touch()
    token = chosen.token_file.read_text().strip() if chosen.token_file else None
    start, wanted = last_position(chosen.file), TaskFilter(classification=chosen.classification)
    stream = open_tasks_http(
        chosen.url, chosen.run, token=token, start=start, wanted=wanted, until_end=chosen.until_end
    )
    with chosen.file.open("ab") as file:
        async with stream as tasks:
            async for task in tasks:
                file.write(msgspec.json.encode(Row(tasks.position, task)) + b"\n")
                file.flush()


def main() -> None:
    """Read the command line, and follow the run."""
    parser = argparse.ArgumentParser(description="Write the finished tasks of a live run to a file.")
    parser.add_argument("url", help="address of the service that `seedstream web` or `seedstream run --web` prints")
    parser.add_argument("run", help="the run's name")
    parser.add_argument("file", type=Path, help="JSON Lines; continued if it exists")
    parser.add_argument("--token-file", type=Path, help="a file with the access token")
    parser.add_argument("--classification", choices=["yes", "no"], help="only tasks of this kind")
    parser.add_argument("--until-end", action="store_true", help="stop where the log ends now")
    with suppress(KeyboardInterrupt):
        asyncio.run(follow(parser.parse_args()))


if __name__ == "__main__":
    main()
