"""Decides when a checkpoint is written, and writes it beside the work."""

from collections.abc import Callable

import anyio

from service.checkpoints.state import Fold, State
from service.checkpoints.store import Checkpoints
from service.messaging.bookmark import Bookmark

# Reading this many records takes about a second.
_RECORDS = 50_000
_PAUSE_S = 10.0
# The longer a write takes, the longer the pause behind it: writing takes at most this share of the time.
_SHARE = 0.02


class CheckpointWriter:
    """Writes the checkpoints of one fold. `take` returns the bookmark and the state, which belong together.

    `take` is called on the event loop and must be quick: what it returns is written in a worker thread.
    """

    def __init__(self, checkpoints: Checkpoints, fold: Fold, take: Callable[[], tuple[Bookmark, State]]) -> None:
        self._checkpoints = checkpoints
        self._fold = fold
        self._take = take
        self._records = 0
        self._due_s = anyio.current_time() + _PAUSE_S
        self._writing = anyio.Lock()

    def note(self, records: int) -> None:
        """Note that `records` more were applied."""
        self._records += records

    @property
    def is_due(self) -> bool:
        """Whether it is time to write."""
        return self._records >= _RECORDS and anyio.current_time() >= self._due_s and not self._writing.locked()

    async def finish(self, at_least: int = 1) -> None:
        """Write a checkpoint, if at least this many records were applied since the last one."""
        if self._records >= at_least:
            await self._write(*self._taken())

    def _taken(self) -> tuple[Bookmark, State]:
        self._records = 0
        return self._take()

    async def _write(self, bookmark: Bookmark, state: State) -> None:
        """Write a checkpoint; a cancellation waits for it."""
        with anyio.CancelScope(shield=True):
            async with self._writing:
                began_s = anyio.current_time()
                await self._checkpoints.save(self._fold, bookmark, state)
                ended_s = anyio.current_time()
        self._due_s = ended_s + max(_PAUSE_S, (ended_s - began_s) / _SHARE)
