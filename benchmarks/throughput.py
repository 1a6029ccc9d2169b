"""Completions/s of `seedstream run`, from the command to its result, compared with a bare loop on the same server.

    python -m benchmarks.throughput                       # all cases: some minutes
    python -m benchmarks.throughput --cases alpaca-0ms --prompts 1000
    python -m benchmarks.throughput --source DIR          # the code in another folder

The server is `benchmarks.stub`, which answers more calls than any client can make. The bare loop sends calls of the
same kinds in the same number with aiohttp, and discards the replies; it runs after the program. "/s" counts from the
command to its end; "flowing" from the first question to the last answer, and so does the bare loop. CPU is that of the
measured process for each completion: all of it, that of the event loop, that of all other threads. Machines differ and
are shared: compare the ratios and the CPU.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import anyio
import orjson

from benchmarks import measured
from benchmarks.machine import load
from benchmarks.measured import Usage
from benchmarks.stub import MODEL

_ROOT = Path(__file__).parents[1]
_ENDLESS = 100_000_000
_PROMPT = "\n".join(f"{number}. Write a short text about subject {number} for readers." for number in range(1, 40))
_LIMITS = {"alpaca": 3072, "json": 3072, "tasks": 1024, "instances": 350, "verdict": 3}
_MS = 1e3
_PROMPTS_EXHAUSTED = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A configuration of the run and its server. `prompts` gives a run of some seconds."""

    name: str
    latency_s: float
    in_flight: int
    prompts: int
    options: tuple[str, ...]


_COMPLETIONS = ("--lm-api", "completions", "--form", "text")
CASES = (
    Case("alpaca-500ms", 0.5, 128, 2_000, ("--recipe", "alpaca", *_COMPLETIONS)),
    Case("alpaca-0ms", 0.0, 128, 2_000, ("--recipe", "alpaca", *_COMPLETIONS)),
    Case("alpaca-json-0ms", 0.0, 128, 2_000, ("--recipe", "alpaca", "--lm-api", "chat", "--form", "json")),
    Case("self-instruct-0ms", 0.0, 128, 500, ("--recipe", "self-instruct", *_COMPLETIONS)),
    Case("alpaca-4s-1000-in-flight", 4.0, 1_000, 3_000, ("--recipe", "alpaca", *_COMPLETIONS)),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A run and the bare loop on the same server. Times of flow are from the first question to the last answer."""

    case: Case
    usage: Usage
    completions: int
    tasks: int
    flow_s: float
    bare_s: float
    bare_cpu_s: float

    @property
    def per_s(self) -> float:
        """Completions/s from the command to its end."""
        return self.completions / self.usage.wall_s

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU of the process for each completion."""
        return self.usage.cpu_s / self.completions * _MS

    @property
    def bare_per_s(self) -> float:
        """Completions/s of the bare loop."""
        return self.completions / self.bare_s

    def row(self) -> str:
        """Return a row of the table."""
        usage, ms = self.usage, _MS / self.completions
        return (
            f"| {self.case.name} | {self.completions:,} | {self.per_s:,.0f} | {self.completions / self.flow_s:,.0f} | "
            f"{self.bare_per_s:,.0f} | {self.per_s / self.bare_per_s:.2f} | {self.cpu_ms:.2f} | "
            f"{usage.loop_s * ms:.2f} | {(usage.cpu_s - usage.loop_s) * ms:.2f} | {self.bare_cpu_s * ms:.2f} | "
            f"{self.tasks:,} | {usage.rss_mib:,.0f} |"
        )


HEADER = (
    "| run | completions | /s | flowing | bare loop | ratio | CPU ms each | event loop | other threads | "
    "bare loop | tasks | MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@contextmanager
def stub(latency_s: float, replies: int, *kinds: str) -> Iterator[str]:
    """Serve canned replies in another process. Yields the base URL."""
    command = [sys.executable, "-m", "benchmarks.stub", "--latency", str(latency_s), "--replies", str(replies)]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--kinds", *kinds], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None:
            raise AssertionError
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def ask(url: str, path: str) -> dict[str, Any]:
    """Return the stub's reply to GET."""
    with urlopen(url.removesuffix("/v1") + path) as reply:  # noqa: S310 - our own server
        facts: dict[str, Any] = orjson.loads(reply.read())
        return facts


async def bare_loop(url: str, kinds: Mapping[str, int], in_flight: int) -> None:
    """Send calls of these kinds with aiohttp alone."""
    remaining = iter([kind for kind, count in kinds.items() for _ in range(count)])

    async def post(session: aiohttp.ClientSession) -> None:
        for kind in remaining:
            body: dict[str, Any] = {"model": MODEL, "max_tokens": _LIMITS[kind]}
            if kind == "json":
                body["messages"] = [{"role": "user", "content": _PROMPT}]
            else:
                body["prompt"] = _PROMPT
            async with session.post(f"{url}/completions", data=orjson.dumps(body)) as response:
                orjson.loads(await response.read())

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(in_flight):
            tasks.start_soon(post, session)


def run_command(case: Case, url: str, prompts: int, folder: Path) -> list[str]:
    """Return the command of a run."""
    server = ["--lm-url", url, "--model", MODEL, "--concurrency", str(case.in_flight)]
    goal = ["--target", str(_ENDLESS), "--max-prompts", str(prompts)]
    logged = ["--broker", f"sqlite:{folder}", "--log-level", "warning"]
    return [sys.executable, "-m", "service", "run", *case.options, *server, *goal, *logged]


def measure(case: Case, prompts: int, source: Path) -> Measured:
    """Run the bare loop and the program on one server."""
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name:
        folder = Path(name)
        # Replies must not repeat, nor must a stage's replies be made while the run waits for them.
        kinds = ("tasks", "instances", "verdict") if "self-instruct" in case.options else ("alpaca", "json")
        with stub(case.latency_s, prompts, *kinds) as url:
            usage = measured.run(run_command(case, url, prompts, folder), folder, folder / "tasks.jsonl", source)
            if usage.exit_code != _PROMPTS_EXHAUSTED:
                raise RuntimeError(f"{case.name}: exit code {usage.exit_code}: {(folder / 'stderr.txt').read_text()}")
            stats = ask(url, "/stats")
            ask(url, "/reset")
            cpu_s = time.process_time()
            asyncio.run(bare_loop(url, stats["kinds"], case.in_flight))
            cpu_s = time.process_time() - cpu_s
            bare = ask(url, "/stats")
        tasks = sum(1 for _ in (folder / "tasks.jsonl").open("rb"))
    flow_s, bare_s = (each["last_s"] - each["first_s"] for each in (stats, bare))
    return Measured(case, usage, stats["answered"], tasks, flow_s, bare_s, cpu_s)


def table(cases: Sequence[Case], prompts: int | None, source: Path) -> Iterator[Measured]:
    """Measure the cases and print their rows."""
    measured.compile_modules(source)
    print(f"{load()}\n{HEADER}", flush=True)
    for case in cases:
        found = measure(case, prompts or case.prompts, source)
        print(found.row(), flush=True)
        yield found


def main() -> None:
    """Measure the cases that the command line names."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--prompts", type=int, help="prompts of each run; default: as many as make some seconds")
    parser.add_argument("--source", type=Path, default=_ROOT, help="a folder with the code to measure")
    given = parser.parse_args()
    os.chdir(_ROOT)
    list(table([case for case in CASES if case.name in given.cases], given.prompts, given.source.resolve()))


if __name__ == "__main__":
    main()
