"""Start-up and memory of each command and each single role, as the log of a run grows.

    python -m benchmarks.growth                              # 1,000, 10,000 and 100,000 tasks: some minutes
    python -m benchmarks.growth --tasks 1000000              # ten gigabytes of log, which takes some minutes to write
    python -m benchmarks.growth --tasks 100000 --keep DIR    # the log is written there once, and used again
    python -m benchmarks.growth --only status admit run      # these alone
    python -m benchmarks.growth --kafka                      # on a Kafka of its own, with the take-over by a standby
    python -m benchmarks.growth --kafka HOST:PORT --keep DIR # on one that runs; the log is written once, and used again
    python -m benchmarks.growth --source DIR                 # the code in another folder

A log is written by the project's own codec (`benchmarks.grown_log`). Everything is measured in a process of its own,
imports included: the commands from the command to their end; admit, finish and the producer until the role is ready
(for the producer: until it has issued a prompt); the whole `seedstream run` until it asks its first question, but its
CPU and memory until it is stopped some answers later. First without any checkpoint: all of them are removed before each
command. Then with those that the run has left behind when it was stopped. "take-over" counts from the election of a
standby that has read the log, after its leader was killed.
"""

import argparse
import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks import measured
from benchmarks.grown_log import ACCEPTED, TARGET, new_run, write_log
from benchmarks.growth_roles import STANDING_BY
from benchmarks.machine import cpu_s, kafka, load, log_warnings_only
from benchmarks.measured import Usage
from benchmarks.stub import MODEL
from benchmarks.throughput import ask, stub
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.adapters.sqlite import SqliteBroker

_ROOT = Path(__file__).parents[1]
_RUN = "grown"
_SIZES = (1_000, 10_000, 100_000)
_ROLES = ("admit", "finish", "producer")
_ANSWERS = 300
_IN_FLIGHT = 128
_LOOK_S = 0.02
_STOPPED = 128 + 15
BARE = "sqlite3 alone"
_READ_ALL = "import sqlite3, sys\nfor _ in sqlite3.connect(sys.argv[1]).execute('SELECT * FROM records'): pass"
_WATCH = "watch"
_WHOLE = "run"
_TAKE_OVER = "take-over"
# A standby has read the log when it used no more CPU than this in a while.
_QUIET_CPU_S, _QUIET_S = 0.1, 3.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Something that was started on a log of this size, and what it took until it was ready."""

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


@dataclass(frozen=True, slots=True)
class Log:
    """A written log: an embedded one, or with `bootstrap` one on Kafka. Its folder holds its checkpoints too."""

    folder: Path
    tasks: int
    source: Path
    bootstrap: str | None = None

    @property
    def state(self) -> Path:
        """The folder of the log, and of the checkpoints."""
        return self.folder / "log"

    @property
    def run(self) -> str:
        """The name of the run."""
        return f"{_RUN}-{self.tasks}" if self.bootstrap else _RUN

    @property
    def file(self) -> Path:
        """The file of an embedded log."""
        return self.state / f"{self.run}.sqlite3"

    @property
    def address(self) -> list[str]:
        """The options that name the log."""
        return [
            "--broker",
            f"kafka://{self.bootstrap}" if self.bootstrap else f"sqlite:{self.state}",
            "--run",
            self.run,
        ]

    def write(self) -> None:
        """Write the log, unless it has been written before."""
        done = self.folder / "written"
        if done.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.state.mkdir(parents=True)
        asyncio.run(self._write())
        done.touch()

    async def _write(self) -> None:
        options = KafkaOptions(bootstrap=self.bootstrap) if self.bootstrap else None
        async with KafkaBroker.open(options) if options else SqliteBroker.open(self.file) as broker:
            await write_log(broker, new_run(self.run), self.tasks)

    def forget(self) -> None:
        """Remove everything but the log itself."""
        for each in self.state.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif not each.name.startswith(self.file.name):
                each.unlink()

    def python(self, *arguments: str) -> list[str]:
        """Return a command of Python with the options of this log."""
        checkpoints = ["env", f"SEEDSTREAM_STATE_DIR={self.state}"] if self.bootstrap else []
        return [*checkpoints, sys.executable, "-m", *arguments, *self.address]


class Growth:
    """Measures what starts on one log, without or with checkpoints."""

    def __init__(self, log: Log, only: Sequence[str] = (), *, checkpoints: bool) -> None:
        self._log = log
        self._only = only
        self._checkpoints = checkpoints

    def table(self) -> Iterator[Measured]:
        """Measure the commands, the roles, and the run; without checkpoints, remove them before each."""
        if self._log.bootstrap is None and not self._checkpoints:
            yield self._bare()
        yield from self._commands()
        for role in filter(self._wants, _ROLES):
            self._used(role, self._log.python("benchmarks.growth_roles", role))
            yield self._measured(role, **orjson.loads((self._log.folder / "stdout").read_bytes()))
        if self._log.bootstrap is not None and self._wants(_TAKE_OVER):
            yield from self._take_overs()
        if self._wants(_WHOLE) or not self._checkpoints:  # it leaves the checkpoints
            yield self._whole()

    def _commands(self) -> Iterator[Measured]:
        commands = [["status"], ["cost"], ["explain", f"p{self._log.tasks // ACCEPTED // 2}.0"]]
        if self._log.bootstrap is None:  # there it ends by itself, since nobody works on the run
            commands.append([_WATCH])
        for command in filter(lambda each: self._wants(each[0]), commands):
            usage = self._used(command[0], self._log.python("service", *command))
            yield self._measured(command[0], usage.wall_s, usage.cpu_s, usage.rss_mib)
        if self._log.bootstrap is not None and self._wants(_WATCH):
            yield self._watched()

    def _wants(self, what: str) -> bool:
        return not self._only or what in self._only

    def _bare(self) -> Measured:
        """Read all records with sqlite3 alone: the least that reading the log can take."""
        usage = self._used(BARE, [sys.executable, "-c", _READ_ALL, str(self._log.file)])
        return self._measured(BARE, usage.wall_s, usage.cpu_s, usage.rss_mib)

    def _measured(self, what: str, ready_s: float, cpu_s: float, rss_mib: float) -> Measured:
        return Measured(what, self._log.tasks, self._checkpoints, ready_s, cpu_s, rss_mib)

    def _used(self, what: str, command: list[str]) -> Usage:
        if not self._checkpoints:
            self._log.forget()
        folder = self._log.folder
        usage = measured.run(command, folder, folder / "stdout", self._log.source)
        self._check(what, usage, 0)
        return usage

    def _check(self, what: str, usage: Usage, expected: int) -> None:
        if usage.exit_code != expected:
            said = (self._log.folder / "stderr.txt").read_text()[-2_000:]
            raise RuntimeError(f"{what}: expected exit code {expected}, got {usage.exit_code}: {said}")

    def _whole(self) -> Measured:
        """Measure the whole run until its first question, let it go on for a moment, and stop it."""
        if not self._checkpoints:
            self._log.forget()
        folder = self._log.folder
        options = ["--target", str(TARGET), "--lm-api", "completions", "--form", "text", "--log-level", "warning"]
        with stub(0.0, 2 * _ANSWERS, "tasks", "verdict", "instances") as url:
            server = ["--lm-url", url, "--model", MODEL, "--concurrency", str(_IN_FLIGHT)]
            command = [*self._log.python("service", "run"), *server, *options]
            with measured.running(command, folder, folder / "stdout", self._log.source) as started:
                while started.process.poll() is None and ask(url, "/stats")["answered"] < _ANSWERS:
                    time.sleep(_LOOK_S)
                first_s = ask(url, "/stats")["first_s"]
                started.stop()
                usage = started.usage()
        self._check(_WHOLE, usage, _STOPPED)
        return self._measured(_WHOLE, first_s - usage.started_s, usage.cpu_s, usage.rss_mib)

    def _watched(self) -> Measured:
        """Measure `watch` until it shows its panel on a terminal, and stop it."""
        if not self._checkpoints:
            self._log.forget()
        folder, (ours, theirs) = self._log.folder, os.openpty()
        command = ["env", "TERM=xterm", *self._log.python("service", _WATCH)]
        with measured.running(command, folder, Path(os.ttyname(theirs)), self._log.source) as started:
            while started.process.poll() is None and not select.select([ours], [], [], _LOOK_S)[0]:
                pass
            shown_s = time.monotonic()
            started.stop()
            usage = started.usage()
        os.close(ours)
        os.close(theirs)
        self._check(_WATCH, usage, -signal.SIGTERM)
        return self._measured(_WATCH, shown_s - usage.started_s, usage.cpu_s, usage.rss_mib)

    def _take_overs(self) -> Iterator[Measured]:
        """Measure how long each role is without a leader once a standby has been elected."""
        for role in _ROLES:
            with self._standing(role) as leader:
                _line(leader)
                with self._standing(role) as heir:
                    if _line(heir) != STANDING_BY:
                        raise RuntimeError(f"{role}: expected a process that stands by, and it leads")
                    _wait_until_quiet(heir)
                    leader.kill()
                    yield self._measured(f"{role}, {_TAKE_OVER}", **orjson.loads(_line(heir)))

    @contextmanager
    def _standing(self, role: str) -> Iterator["subprocess.Popen[str]"]:
        """Run a role in a process that stays until the end of the block."""
        command = [*self._log.python("benchmarks.growth_roles", role), "--stays"]
        with subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=self._log.source, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _line(process: "subprocess.Popen[str]") -> str:
    if process.stdout is None:
        raise AssertionError
    return process.stdout.readline().strip()


def _wait_until_quiet(process: "subprocess.Popen[str]") -> None:
    before, now = -1.0, cpu_s([process.pid])
    while now - before > _QUIET_CPU_S:
        time.sleep(_QUIET_S)
        before, now = now, cpu_s([process.pid])


def growth(
    sizes: Sequence[int], folder: Path, source: Path, bootstrap: str | None = None, only: Sequence[str] = ()
) -> Iterator[Measured]:
    """Measure everything at each size, or some of it only."""
    measured.compile_modules(source)
    for tasks in sizes:
        log = Log(folder / str(tasks), tasks, source, bootstrap)
        log.write()
        for checkpoints in (False, True):
            yield from Growth(log, only, checkpoints=checkpoints).table()


@contextmanager
def kept(folder: Path | None) -> Iterator[Path]:
    """Yield the folder for logs: the given one, or a temporary one."""
    if folder is not None:
        yield folder.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name:
            yield Path(name)


@contextmanager
def _kafka(given: str | None) -> Iterator[str | None]:
    """Yield the address of a Kafka: the given one, or if that is empty, a new one; `None` for the embedded log."""
    if given == "":
        with kafka() as cluster:
            yield cluster.bootstrap
    else:
        yield given


def main() -> None:
    """Measure at the sizes that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--only", nargs="+", default=(), help="some of the commands and roles")
    parser.add_argument("--keep", type=Path, help="a folder for logs and checkpoints, which are used again")
    parser.add_argument("--kafka", nargs="?", const="", help="on a real Kafka: one that runs, or a new one")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--source", type=Path, default=_ROOT, help="a folder with the code to measure")
    given = parser.parse_args()
    log_warnings_only()
    os.chdir(_ROOT)
    print(f"{load()}\n{HEADER}", flush=True)
    found = []
    with kept(None if given.kafka == "" else given.keep) as folder, _kafka(given.kafka) as address:
        for each in growth(given.tasks, folder, given.source.resolve(), address, given.only):
            print(each.row(), flush=True)
            found.append(each)
    if given.json is not None:
        given.json.write_bytes(orjson.dumps([asdict(each) for each in found], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
