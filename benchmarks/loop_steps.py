"""The longest steps of a run's event loop: nothing else runs meanwhile, neither calls nor heartbeats.

    python -m benchmarks.loop_steps                     # Alpaca at 0 ms, 128 calls in flight
    python -m benchmarks.loop_steps --case self-instruct-0ms --prompts 500

A step is one callback, or a task from one `await` that waits to the next. Its time is the CPU time of the loop's
thread, since other work on the machine would add to any other clock. Steps before the first reply (imports, opening
the log) are counted apart.
"""

import argparse
import asyncio
import gc
import json
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import measured
from benchmarks.machine import load
from benchmarks.throughput import CASES, ask, run_command, stub

_ROOT = Path(__file__).parents[1]
_NS_PER_MS = 1e6
_LIMIT_MS = 10.0
_SHOWN = 8
_KEPT = 200
_OWN = ("service/", "consumers/", "producers/")


@dataclass(slots=True)
class Steps:
    """The steps of a loop by CPU time. `slowest` are (milliseconds, monotonic seconds, name)."""

    count: int = 0
    total_ms: float = 0.0
    slowest: list[tuple[float, float, str]] = field(default_factory=list)
    threshold_ms: float = 1.0

    def add(self, took_ms: float, name: Callable[[], str]) -> None:
        """Count a step; its name is asked for only if it is slow."""
        self.count += 1
        self.total_ms += took_ms
        if took_ms < self.threshold_ms:
            return
        self.slowest.append((took_ms, time.monotonic(), name()))
        if len(self.slowest) > _KEPT:
            self.slowest.sort(reverse=True)
            del self.slowest[_KEPT // 2 :]
            self.threshold_ms = self.slowest[-1][0]


def _name(handle: asyncio.Handle) -> str:
    """Name a step by the place in our own code where its task waits now, else by its callback."""
    callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio shows it to nobody
    owner = getattr(callback, "__self__", None)
    if not isinstance(owner, asyncio.Task):
        return str(getattr(callback, "__qualname__", callback))
    places = [place for place in _awaits(owner.get_coro()) if place.startswith(_OWN)]
    return " < ".join(places[:-3:-1]) if places else f"{owner.get_name()}, ended"


def _awaits(coroutine: object) -> Iterator[str]:
    """Yield the place of each coroutine and generator in a chain of awaits, the outermost first."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            file = Path(frame.f_code.co_filename)
            where = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file
            yield f"{where}:{frame.f_lineno} {frame.f_code.co_qualname}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)


@dataclass(slots=True)
class Garbage:
    """The CPU time of garbage collections in this thread, nanoseconds; a callback for `gc`."""

    taken_ns: int = 0
    _begin_ns: int = 0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._begin_ns = time.thread_time_ns()
        else:
            self.taken_ns += time.thread_time_ns() - self._begin_ns


@contextmanager
def watched(steps: Steps) -> Iterator[None]:
    """Measure each step of all event loops of this process while the block runs."""
    run, garbage = asyncio.Handle._run, Garbage()  # noqa: SLF001 - all steps pass here

    def timed(handle: asyncio.Handle) -> None:
        garbage.taken_ns = 0
        begin_ns = time.thread_time_ns()
        try:
            run(handle)
        finally:
            took_ms = (time.thread_time_ns() - begin_ns) / _NS_PER_MS
            steps.add(took_ms, lambda: f"{_name(handle)} (garbage {garbage.taken_ns / _NS_PER_MS:.0f} ms)")

    gc.callbacks.append(garbage)
    asyncio.Handle._run = timed  # type: ignore[assignment, method-assign]  # noqa: SLF001
    try:
        yield
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]  # noqa: SLF001
        gc.callbacks.remove(garbage)


def _run_service(file: Path, arguments: Sequence[str]) -> None:
    """Run the program in this process, and write its steps to a file when it ends."""
    steps = Steps()
    sys.argv = ["seedstream", *arguments]
    try:
        with watched(steps):
            runpy.run_module("service", run_name="__main__")
    finally:
        file.write_text(json.dumps(asdict(steps)))


@dataclass(frozen=True, slots=True)
class Found:
    """The steps of one run, those before the first reply apart."""

    starting: Sequence[tuple[float, str]]
    flowing: Sequence[tuple[float, str]]
    count: int
    mean_ms: float

    def table(self) -> str:
        """Return the slowest steps as a table."""
        rows = [
            f"| {when} | {name} | {took_ms:.1f} |"
            for when, steps in (("before the first reply", self.starting), ("later", self.flowing))
            for took_ms, name in steps[:_SHOWN]
        ]
        over = sum(took_ms > _LIMIT_MS for took_ms, _ in self.flowing)
        head = (
            f"{self.count:,} steps of {self.mean_ms:.3f} ms on average; after the first reply {over} took more than "
            f"{_LIMIT_MS:g} ms of CPU."
        )
        return "\n".join([head, "", "| when | step | CPU ms |", "|---|---|---:|", *rows])


def find(case_name: str, prompts: int | None) -> Found:
    """Run a case of `benchmarks.throughput`, and return the steps of its loop."""
    case = next(each for each in CASES if each.name == case_name)
    prompts = prompts or case.prompts
    kinds = ("tasks", "instances", "verdict") if "self-instruct" in case.options else ("alpaca", "json")
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name, stub(case.latency_s, prompts, *kinds) as url:
        folder = Path(name)
        arguments = run_command(case, url, prompts, folder)[3:]
        command = [sys.executable, "-m", "benchmarks.loop_steps", "--inside", str(folder / "steps.json"), *arguments]
        with (folder / "stderr").open("wb") as err:
            subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=err, check=False)  # noqa: S603 - ours
        steps = json.loads((folder / "steps.json").read_text())
        first_s = ask(url, "/stats")["first_s"]
    slowest = sorted(map(tuple, steps["slowest"]), reverse=True)
    return Found(
        [(took_ms, name) for took_ms, at_s, name in slowest if at_s < first_s],
        [(took_ms, name) for took_ms, at_s, name in slowest if at_s >= first_s],
        steps["count"],
        steps["total_ms"] / steps["count"],
    )


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--inside"]:
        _run_service(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=[case.name for case in CASES], default="alpaca-0ms")
    parser.add_argument("--prompts", type=int, help="prompts of the run; default: as many as make some seconds")
    given = parser.parse_args()
    measured.compile_modules(_ROOT)
    print(load(), find(given.case, given.prompts).table(), sep="\n")


if __name__ == "__main__":
    main()
