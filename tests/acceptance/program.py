"""The program as a child process. Every wait has a deadline, and no process outlives its test."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from signal import SIGKILL, Signals
from typing import IO

import msgspec

from service.messaging.messages import FinishedTask

DEADLINE_S = 90.0
CODE = Path(__file__).parents[2]
_ROWS, _COLUMNS = 40, 120
_NO_SETTINGS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Ended:
    """The exit code of a process, and all its output. It never contains a traceback."""

    code: int
    lines: tuple[bytes, ...]
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.err, self.err

    @property
    def out(self) -> bytes:
        return b"".join(self.lines)

    @property
    def tasks(self) -> list[FinishedTask]:
        return [msgspec.json.decode(line, type=FinishedTask) for line in self.lines]


class _Stream:
    """The lines of a pipe as they arrive. The pipe is closed after `at_most` lines."""

    def __init__(self, pipe: IO[bytes], at_most: int | None = None) -> None:
        self.lines: list[bytes] = []
        self._pipe = pipe
        self._at_most = at_most
        self._closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for(self, condition: Callable[[], bool], wanted: str, deadline_s: float = DEADLINE_S) -> None:
        with self._news:
            self._news.wait_for(lambda: condition() or self._closed, deadline_s)
        assert condition(), f"expected {wanted}, got {b''.join(self.lines).decode()}"

    def all(self) -> tuple[bytes, ...]:
        self._thread.join(DEADLINE_S)
        assert self._closed
        return tuple(self.lines)

    def _read(self) -> None:
        with self._pipe, suppress(OSError):  # a terminal ends with EIO
            for line in islice(self._pipe, self._at_most):
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()


class Program:
    def __init__(self, process: subprocess.Popen[bytes], out: _Stream, err: _Stream) -> None:
        self._process = process
        self._out = out
        self._err = err
        self._taken = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, or None while the process runs."""
        return self._process.poll()

    def wait_for_lines(self, count: int, deadline_s: float = DEADLINE_S) -> None:
        """Wait for this number of further lines on standard output."""
        self._taken += count
        wanted = f"{count} more lines on standard output"
        self._out.wait_for(lambda: len(self._out.lines) >= self._taken, wanted, deadline_s)

    def has_lines(self, count: int) -> bool:
        """Take this number of further lines of standard output, if they are there."""
        if len(self._out.lines) < self._taken + count:
            return False
        self._taken += count
        return True

    def wait_for_word(self, word: str) -> str:
        """Wait for a line of standard error that contains the word. Returns the first such line."""

        def found() -> list[bytes]:
            return [line for line in self._err.lines if word.encode() in line]

        self._err.wait_for(lambda: bool(found()), f"{word!r} on standard error")
        return found()[0].decode()

    def live_for(self, seconds: float) -> None:
        """Let the process run for this time. It must not end by itself."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(seconds)
            raise AssertionError(f"ended with {code}: {b''.join(self._err.all()).decode()}")

    def let_pass(self, seconds: float) -> None:
        """Wait for this time, or until the process ends."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def send(self, signal: Signals) -> None:
        self._process.send_signal(signal)

    def kill(self) -> Ended:
        self.send(SIGKILL)
        return self.end()

    def end(self, deadline_s: float = DEADLINE_S) -> Ended:
        code = self._process.wait(deadline_s)
        return Ended(code, self._out.all(), b"".join(self._err.all()).decode())


@contextmanager
def start(
    folder: Path,
    *arguments: str | Path,
    settings: Mapping[str, str] = _NO_SETTINGS,
    read_at_most: int | None = None,
    terminal: bool = False,
    code: Path = CODE,
) -> Iterator[Program]:
    """Start `seedstream` in a folder. `settings` are environment variables without their prefix.

    Standard output is a pipe, closed after `read_at_most` lines, or a terminal. `code` is the folder of its packages.
    """
    main, child = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *arguments],
        cwd=folder,
        env=_environment(folder, settings, code),
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=subprocess.PIPE,
    )
    os.close(child)
    assert process.stderr is not None
    program = Program(process, _Stream(os.fdopen(main, "rb"), read_at_most), _Stream(process.stderr))
    try:
        yield program
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def run(folder: Path, *arguments: str | Path, settings: Mapping[str, str] = _NO_SETTINGS, code: Path = CODE) -> Ended:
    with start(folder, *arguments, settings=settings, code=code) as program:
        return program.end()


def run_side_by_side(
    folder: Path, *commands: Sequence[str | Path], settings: Mapping[str, str] = _NO_SETTINGS
) -> list[Ended]:
    """Run several commands concurrently to their ends."""
    with ExitStack() as stack:
        programs = [stack.enter_context(start(folder, *command, settings=settings)) for command in commands]
        return [program.end() for program in programs]


def _environment(folder: Path, settings: Mapping[str, str], code: Path) -> dict[str, str]:
    place = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(code)}
    return place | {"TERM": "xterm-256color"} | {f"SEEDSTREAM_{name}": value for name, value in settings.items()}
