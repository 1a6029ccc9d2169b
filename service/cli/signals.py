"""Stopping long-running commands: in an orderly way at the first signal, immediately at the second."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGINT, SIGTERM, Signals

import anyio

EXIT_SIGNALLED = 128


@dataclass(slots=True)
class Stopped:
    """The signal that stopped the work, or None."""

    by: Signals | None = None


async def stop_on_signal(stop: Callable[[], None], stopped: Stopped) -> None:
    """Call `stop` at the first signal, exit at the second."""
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for signal in signals:
            if stopped.by is not None:
                say(f"{Signals(signal).name}: stopped at once; run it again to continue")
                os._exit(EXIT_SIGNALLED + signal)
            stopped.by = Signals(signal)
            say(f"{stopped.by.name}: finishing the calls in flight; once more to exit at once")
            stop()


def say(line: str) -> None:
    """Print a line to standard error; a live view redirects it and prints it above the panel."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
