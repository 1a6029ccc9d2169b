"""A simulator in the test's own process. It outlives the programs that call it, and reports their calls."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from service.simulator import Simulator, SimulatorOptions, serve
from service.simulator.journal import Entry
from tests.acceptance.program import DEADLINE_S

_LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Model:
    portal: BlockingPortal
    simulator: Simulator

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags for a program that uses the simulator as a base model, with texts."""
        return (*self._server, "--lm-api", "completions")

    @property
    def chat_flags(self) -> tuple[str, ...]:
        """The flags for a program that uses the simulator as a chat model, with JSON."""
        return (*self._server, "--lm-api", "chat")

    @property
    def _server(self) -> tuple[str, ...]:
        return ("--lm", "openai", "--lm-url", self.simulator.url, "--model", self.simulator.options.model)

    def requests(self) -> list[Entry]:
        """Return every request that has ended."""
        return self.portal.call(lambda: list(self.simulator.journal.entries))

    def reconfigure(self, **changes: Any) -> None:
        """Change options of the simulator while it runs."""
        self.portal.call(lambda: self.simulator.reconfigure(**changes))

    def wait_until_idle(self) -> list[Entry]:
        """Wait until the last request has ended, with an answer or because its client left. Returns all requests."""
        eventually(lambda: self.simulator.capacity.running == 0)
        return self.requests()

    def wait_until_quiet(self, seconds: float) -> list[Entry]:
        """Wait until no request has come or run for this time. Returns all requests."""
        seen, since_s = self.requests(), time.monotonic()

        def is_quiet() -> bool:
            nonlocal seen, since_s
            if self.simulator.capacity.running or len(self.requests()) != len(seen):
                seen, since_s = self.requests(), time.monotonic()
            return time.monotonic() - since_s >= seconds

        eventually(is_quiet)
        return seen

    def wait_until_busy(self, calls: int) -> None:
        """Wait until this number of calls is in flight."""
        eventually(lambda: self.simulator.capacity.running >= calls)


@contextmanager
def simulated(**options: Any) -> Iterator[Model]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(SimulatorOptions(**options))) as simulator,
    ):
        yield Model(portal, simulator)


def eventually(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "the state that was waited for never came"
        time.sleep(_LOOK_EVERY_S)
