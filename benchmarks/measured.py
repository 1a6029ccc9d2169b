"""Run a command and measure it: seconds, CPU of the process and of its threads, peak memory.

    python -m benchmarks.measured RESULT.json COMMAND …

This process imports next to nothing, since a child's peak counts the memory of the process that started it. The times
of threads are sampled, so the last moment of each may be missing; those of the process are exact. SIGTERM is passed on.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_SAMPLE_S = 0.05
_NS = 1e9


@dataclass(frozen=True)
class Usage:
    """A command that has ended. `threads_s` are the CPU seconds of its threads, the main thread first.

    `started_s` is the time of the machine's monotonic clock.
    """

    exit_code: int
    started_s: float
    wall_s: float
    cpu_s: float
    rss_mib: float
    threads_s: tuple[float, ...]

    @property
    def loop_s(self) -> float:
        """CPU seconds of the main thread, which runs the event loop."""
        return self.threads_s[0] if self.threads_s else 0.0

    @property
    def busiest_s(self) -> float:
        """CPU seconds of the busiest of the other threads: in a run, that of the filter."""
        return max(self.threads_s[1:], default=0.0)


class ThreadTimes:
    """The CPU time of each thread of a process, as far as it was seen."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[str, float] = {}

    def sample(self) -> None:
        """Read the times from /proc; a thread that has ended keeps its latest."""
        for task in Path(f"/proc/{self._pid}/task").glob("*/schedstat"):
            try:
                self._seen[task.parent.name] = int(task.read_text().split()[0]) / _NS
            except (OSError, IndexError):
                continue  # it has just ended

    def seconds(self) -> tuple[float, ...]:
        """Return the times, the main thread's first."""
        main = str(self._pid)
        others = [each for name, each in self._seen.items() if name != main]
        return (self._seen.get(main, 0.0), *sorted(others, reverse=True))


def measured(command: list[str]) -> Usage:
    """Run a command to its end."""
    started_s = time.monotonic()
    process = subprocess.Popen(command)  # noqa: S603 - what the benchmark asks for
    times, ended = ThreadTimes(process.pid), threading.Event()

    def follow() -> None:
        while not ended.wait(_SAMPLE_S):
            times.sample()

    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    sampling = threading.Thread(target=follow)
    sampling.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    sampling.join()
    return Usage(
        process.returncode,
        started_s,
        wall_s,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        times.seconds(),
    )


@contextmanager
def running(
    command: list[str], folder: Path, out: Path | None = None, source: Path | None = None
) -> Iterator["Running"]:
    """Measure a command through a process of this file, with its messages in `folder`; wait for its end.

    Standard output goes to the file `out`, or nowhere. The command runs in the folder `source`, and imports from there.
    """
    result, messages = folder / "usage.json", folder / "stderr.txt"
    result.unlink(missing_ok=True)
    helper = [sys.executable, __file__, str(result), *command]
    with (
        messages.open("wb") as err,
        Path(out or os.devnull).open("wb") as written,
        subprocess.Popen(  # noqa: S603 - ours
            helper, cwd=source or _ROOT, stdin=subprocess.DEVNULL, stdout=written, stderr=err
        ) as process,
    ):
        yield Running(process, result)


@dataclass(frozen=True)
class Running:
    """A command that is being measured."""

    process: subprocess.Popen[bytes]
    result: Path

    def stop(self) -> None:
        """Send SIGTERM to the command."""
        self.process.terminate()

    def usage(self) -> Usage:
        """Wait for its end and return what it used."""
        self.process.wait()
        facts = json.loads(self.result.read_text())
        return Usage(**{**facts, "threads_s": tuple(facts["threads_s"])})


def run(command: list[str], folder: Path, out: Path | None = None, source: Path | None = None) -> Usage:
    """Measure a command to its end, as `running` does."""
    with running(command, folder, out, source) as started:
        return started.usage()


def main() -> None:
    """Run the command of the command line."""
    result, *command = sys.argv[1:]
    Path(result).write_text(json.dumps(asdict(measured(command))))


if __name__ == "__main__":
    main()
