"""How commands that work for long are stopped: in order at the first signal, at once at the second."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGINT, SIGTERM, Signals

import anyio

EXIT_SIGNALLED = 128


@dataclass(slots=True)
class Stopped:
    """Why the work was asked to stop, if it was."""

    by: Signals | None = None


async def stop_on_signal(stop: Callable[[], None], stopped: Stopped) -> None:
    """Call `stop` at the first signal, exit at the second."""
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for signal in signals:
            if stopped.by is not None:
                say(f"{Signals(signal).name}: stopped at once; run it again to go on")
                os._exit(EXIT_SIGNALLED + signal)
            stopped.by = Signals(signal)
            say(f"{stopped.by.name}: finishing the calls in flight; once more to exit at once")
            stop()


def say(line: str) -> None:
    """Tell a person; the line is put above a live view, which stands in the place of standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
