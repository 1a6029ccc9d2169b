"""A limit on work in flight that is shared by several stages, the later ones first.

Completing what has begun comes before beginning more: tasks come out sooner, and less is bought in excess.
"""

import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio


class Slots:
    """So many holders at once; the waiting one with the lowest rank is next, then who came first."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.in_use = 0
        self._waiting: list[tuple[int, int, anyio.Event]] = []
        self._turns = count()

    @asynccontextmanager
    async def hold(self, rank: int) -> AsyncIterator[None]:
        """Wait for a slot and keep it inside the block."""
        await self._take(rank)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, rank: int) -> None:
        if self.in_use < self.total:
            self.in_use += 1
            return
        turn = anyio.Event()
        entry = (rank, next(self._turns), turn)
        heapq.heappush(self._waiting, entry)
        try:
            await turn.wait()
        except anyio.get_cancelled_exc_class():
            if turn.is_set():
                self._give_back()
            else:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    def _give_back(self) -> None:
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self.in_use -= 1
