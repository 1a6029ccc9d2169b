"""A wake-up call between threads."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import anyio


class Signal:
    """Wakes the one task that waits for a condition, on any event loop; every thread may call `notify`."""

    def __init__(self) -> None:
        self._waiter: tuple[asyncio.AbstractEventLoop, anyio.Event] | None = None

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the condition may hold: it is tested first, and then `notify` or the timeout ends the wait."""
        event = anyio.Event()
        self._waiter = asyncio.get_running_loop(), event
        try:
            if not condition():
                with anyio.move_on_after(timeout_s):
                    await event.wait()
        finally:
            self._waiter = None

    def notify(self) -> None:
        """Wake the waiting task, if there is one; call it after the condition has become true."""
        if (waiter := self._waiter) is not None:
            loop, event = waiter
            with suppress(RuntimeError):  # its loop is closed, so nobody waits
                loop.call_soon_threadsafe(event.set)
