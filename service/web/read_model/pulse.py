"""Tells waiters that there is something new."""

import anyio


class Pulse:
    """A revision that grows; waiters resume when it does."""

    def __init__(self) -> None:
        self.revision = 0
        self._grown = anyio.Event()

    def beat(self) -> None:
        """Begin the next revision, and resume all waiters."""
        self.revision += 1
        self._grown.set()
        self._grown = anyio.Event()

    async def wait(self, since: int) -> int:
        """Return the current revision as soon as it is above `since`."""
        while self.revision <= since:
            await self._grown.wait()
        return self.revision
