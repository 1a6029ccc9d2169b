"""Run a command and measure it: seconds, CPU of the process and of its event loop, peak memory.

    python -m benchmarks.measured RESULT.json COMMAND …

This process imports next to nothing, since a child's peak counts the memory of the process that started it. The time
of the event loop's thread is sampled, so its last moment may be missing. SIGTERM is passed on.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_SAMPLE_S = 0.05
_NS = 1e9
_KEEPS_NO_MODULES = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class Usage:
    """A command that has ended. `loop_s` are the CPU seconds of its main thread, which runs the event loop.

    `started_s` is the time of the machine's monotonic clock.
    """

    exit_code: int
    started_s: float
    wall_s: float
    cpu_s: float
    rss_mib: float
    loop_s: float


class MainThread:
    """The CPU time of a process's main thread, as far as it was seen."""

    def __init__(self, pid: int) -> None:
        self._schedule = Path(f"/proc/{pid}/task/{pid}/schedstat")
        self.seconds = 0.0

    def sample(self) -> None:
        """Read the time, unless the process has just ended."""
        with suppress(OSError, IndexError):
            self.seconds = int(self._schedule.read_text().split()[0]) / _NS


def measured(command: list[str]) -> Usage:
    """Run a command to its end."""
    started_s = time.monotonic()
    process = subprocess.Popen(command)  # noqa: S603 - what the benchmark asks for
    loop, ended = MainThread(process.pid), threading.Event()

    def follow() -> None:
        while not ended.wait(_SAMPLE_S):
            loop.sample()

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
        loop.seconds,
    )


@contextmanager
def running(
    command: list[str], folder: Path, out: Path | None = None, source: Path | None = None
) -> Iterator["Running"]:
    """Measure a command through a process of this file, with its messages in `folder`; wait for its end.

    Standard output goes to the file `out`, or nowhere. The command runs in the folder `source`, and imports from there.
    Compiled modules are kept, as they are in an image.
    """
    environment = {name: value for name, value in os.environ.items() if name != _KEEPS_NO_MODULES}  # noqa: TID251
    result, messages = folder / "usage.json", folder / "stderr.txt"
    result.unlink(missing_ok=True)
    helper = [sys.executable, __file__, str(result), *command]
    with (
        messages.open("wb") as err,
        Path(out or os.devnull).open("wb") as written,
        subprocess.Popen(  # noqa: S603 - ours
            helper, cwd=source or _ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=written, stderr=err
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
        return Usage(**json.loads(self.result.read_text()))


def compile_modules(source: Path) -> None:
    """Compile the program in a folder, so that no measured command does."""
    command = [sys.executable, "-m", "compileall", "-q", "service", "consumers", "producers", "benchmarks"]
    subprocess.run(command, cwd=source, check=True)  # noqa: S603 - ours


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
