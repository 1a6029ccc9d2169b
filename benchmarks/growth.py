"""Start-up and memory of each command and each single role, as the log of a run grows.

    python -m benchmarks.growth                              # 1,000, 10,000 and 100,000 tasks: some minutes
    python -m benchmarks.growth --tasks 1000000              # ten gigabytes of log, which takes some minutes to write
    python -m benchmarks.growth --tasks 100000 --keep DIR    # the log is written there once, and used again
    python -m benchmarks.growth --source DIR                 # the code in another folder

A log is written by the project's own codec (`benchmarks.grown_log`). Everything is measured in a process of its own,
imports included: the commands from the command to their end; admit, finish and the producer until the role is ready
(for the producer: until it has issued a prompt); the whole `seedstream run` until it asks its first question. First
without any checkpoint: all files in the folder but the log are removed before each command. Then with those that the
run has left behind when it was stopped.
"""

import argparse
import asyncio
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
import orjson

from benchmarks import measured
from benchmarks.grown_log import ACCEPTED, TARGET, new_run, write_log
from benchmarks.machine import load, log_warnings_only
from benchmarks.measured import Usage
from benchmarks.stub import MODEL
from benchmarks.throughput import ask, stub
from service.adapters.sqlite import SqliteBroker
from service.bootstrap.open_broker import open_log
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.topics import PROMPTS
from service.pipeline.limits import Limits
from service.pipeline.roles import Role, RoleRunner
from service.settings import load_settings

_ROOT = Path(__file__).parents[1]
_RUN = "grown"
_SIZES = (1_000, 10_000, 100_000)
_ROLES = ("admit", "finish", "producer")
_ANSWERS = 300
_IN_FLIGHT = 128
_LOOK_S = 0.01
_READY_S = 3_600.0
_STOPPED = 128 + 15
_WHOLE = "run"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was started on a log of this size, and what it took: `ready_s` and `cpu_s` until it was ready."""

    what: str
    tasks: int
    checkpoints: bool
    ready_s: float
    cpu_s: float
    rss_mib: float

    def row(self) -> str:
        """Return a row of the table."""
        return (
            f"| {self.what} | {self.tasks:,} | {'yes' if self.checkpoints else 'no'} | {self.ready_s:,.2f} | "
            f"{self.cpu_s:,.2f} | {self.rss_mib:,.0f} |"
        )


HEADER = "| started | tasks | checkpoints | ready, s | CPU s | peak MiB |\n|---|---:|---|---:|---:|---:|"


class Log:
    """A written log in a folder of its own."""

    def __init__(self, folder: Path, tasks: int, source: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._tasks = tasks
        self._source = source
        self.file = self._log / f"{_RUN}.sqlite3"

    def write(self) -> None:
        """Write the log, unless it has been written before."""
        done = self._folder / "written"
        if done.exists():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._log.mkdir(parents=True)
        asyncio.run(_write(self.file, self._tasks))
        done.touch()

    def forget(self) -> None:
        """Remove everything but the log itself."""
        for each in self._log.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif not each.name.startswith(self.file.name):
                each.unlink()

    def table(self, *, checkpoints: bool) -> Iterator[Measured]:
        """Measure the commands, then the roles; without checkpoints, remove them before each."""
        middle = f"p{self._tasks // ACCEPTED // 2}.0"
        commands = (("status",), ("watch",), ("cost",), ("explain", middle))
        for command in commands:
            yield self._measured(command[0], ["-m", "service", *command, *self._address()], checkpoints=checkpoints)
        for role in _ROLES:
            yield self._measured(
                role, ["-m", "benchmarks.growth", "--role", role, *self._address()], checkpoints=checkpoints
            )

    def _address(self) -> list[str]:
        return ["--broker", f"sqlite:{self._log}", "--run", _RUN]

    def _measured(self, what: str, arguments: Sequence[str], *, checkpoints: bool) -> Measured:
        if not checkpoints:
            self.forget()
        usage = measured.run([sys.executable, *arguments], self._folder, self._folder / "stdout", self._source)
        self._check(what, usage, 0)
        if what in _ROLES:  # it says itself when it was ready: its end takes time too
            return Measured(what, self._tasks, checkpoints, **orjson.loads((self._folder / "stdout").read_bytes()))
        return Measured(what, self._tasks, checkpoints, usage.wall_s, usage.cpu_s, usage.rss_mib)

    def run(self, *, checkpoints: bool) -> Measured:
        """Measure the whole run until its first question, let it go on for a moment, and stop it."""
        if not checkpoints:
            self.forget()
        command = [sys.executable, "-m", "service", "run", *self._address(), "--target", str(TARGET)]
        with stub(0.0, 2 * _ANSWERS, "tasks", "verdict", "instances") as url:
            command += ["--lm-url", url, "--model", MODEL, "--lm-api", "completions", "--form", "text"]
            command += ["--concurrency", str(_IN_FLIGHT), "--log-level", "warning"]
            with measured.running(command, self._folder, self._folder / "stdout", self._source) as started:
                while started.process.poll() is None and ask(url, "/stats")["answered"] < _ANSWERS:
                    time.sleep(_LOOK_S)
                stats = ask(url, "/stats")
                started.stop()
                usage = started.usage()
        self._check(_WHOLE, usage, _STOPPED)
        return Measured(
            _WHOLE, self._tasks, checkpoints, stats["first_s"] - usage.started_s, usage.cpu_s, usage.rss_mib
        )

    def _check(self, what: str, usage: Usage, expected: int) -> None:
        if usage.exit_code != expected:
            said = (self._folder / "stderr.txt").read_text()[-2_000:]
            raise RuntimeError(f"{what}: expected exit code {expected}, got {usage.exit_code}: {said}")


async def _write(file: Path, tasks: int) -> None:
    async with SqliteBroker.open(file) as broker:
        await write_log(broker, new_run(_RUN), tasks)


async def be_ready(role: Role, address: str, run: str) -> dict[str, float]:
    """Run a role until it is ready; returns what that took since the start of this process."""
    settings = load_settings({"broker": address, "run": run, "lm": "simulator"})
    async with open_log(settings) as broker:
        issued = await _issued(broker, run)
        window = 1 if role is not Role.PRODUCER else 1 + await _without_answer(broker, run, issued)
        runner = RoleRunner(broker, run, [role], None, Limits(1, patience=200, drain_s=1.0, asked_window=window))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runner.run)
            with anyio.fail_after(_READY_S):
                while not await _is_ready(runner, role, broker, run, issued):  # noqa: ASYNC110 - nothing tells
                    await anyio.sleep(_LOOK_S)
            ready = {"ready_s": _age_s(), "cpu_s": time.process_time(), "rss_mib": _peak_mib()}
            tasks.cancel_scope.cancel()
    return ready


async def _is_ready(runner: RoleRunner, role: Role, broker: Broker, run: str, issued: int) -> bool:
    if role is Role.PRODUCER:
        return await _issued(broker, run) > issued
    return runner.worked.roles[role].ready


async def _issued(broker: Broker, run: str) -> int:
    return await broker.end_offset(Partition(PROMPTS.of(run), 0), Isolation.READ_COMMITTED)


async def _without_answer(broker: Broker, run: str, issued: int) -> int:
    """Return how many prompts lack an answer: the producer takes them off its window."""
    prompts = Partition(PROMPTS.of(run), 0)
    committed = await broker.committed(f"seedstream.{run}.generate", prompts)
    return issued - (committed.offset if committed is not None else 0)


def _age_s() -> float:
    """Return the seconds since this process began."""
    began_ticks = int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began_ticks / os.sysconf("SC_CLK_TCK")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth(sizes: Sequence[int], folder: Path, source: Path) -> Iterator[Measured]:
    """Measure everything at each size."""
    for tasks in sizes:
        log = Log(folder / str(tasks), tasks, source)
        log.write()
        for checkpoints in (False, True):
            yield from log.table(checkpoints=checkpoints)
            yield log.run(checkpoints=checkpoints)


@contextmanager
def kept(folder: Path | None) -> Iterator[Path]:
    """Yield the folder for logs: the given one, or a temporary one."""
    if folder is not None:
        yield folder.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name:
            yield Path(name)


def main() -> None:
    """Measure at the sizes that the command line names, or be one of the measured roles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are used again")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--source", type=Path, default=_ROOT, help="a folder with the code to measure")
    for name in ("--role", "--broker", "--run"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    log_warnings_only()
    if given.role is not None:
        sys.stdout.buffer.write(orjson.dumps(asyncio.run(be_ready(Role(given.role), given.broker, given.run))))
        return
    print(f"{load()}\n{HEADER}", flush=True)
    found = []
    with kept(given.keep) as folder:
        for each in growth(given.tasks, folder, given.source.resolve()):
            print(each.row(), flush=True)
            found.append(each)
    if given.json is not None:
        given.json.write_bytes(orjson.dumps([asdict(each) for each in found], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
