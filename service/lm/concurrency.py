"""A limit on calls in flight that several stages share, the later stages first.

Completing a task comes before beginning another: tasks are finished sooner, and fewer calls are made in excess. So that
no stage starves, every eighth slot goes to the call that has waited longest. A call that holds a slot and must wait
before it tries again steps aside: others use the slot meanwhile, and it is the first to get one afterwards.
"""

import heapq
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import anyio

from service.lm.errors import EndpointRefusedError

_FIRST = -1
_LONGEST_WAITING_EVERY = 8


class Gate(Protocol):
    """Decides, within the total, whether one more call may begin now."""

    def admits(self, in_use: int, /) -> bool:
        """Return whether there may be one more than these."""
        ...

    def entered(self, slot: "Slot", /) -> None:
        """Note that one more has begun."""
        ...

    def left(self, slot: "Slot", /) -> None:
        """Note that one was given back before it had begun."""
        ...

    def opens_in_s(self) -> float:
        """Return after how long to ask again if nothing else happens; infinite if only an event can help."""
        ...


class _Open:
    """The gate that is always open."""

    def admits(self, _in_use: int) -> bool:
        return True

    def entered(self, _slot: "Slot") -> None:
        pass

    def left(self, _slot: "Slot") -> None:
        pass

    def opens_in_s(self) -> float:
        return math.inf


@dataclass(eq=False, slots=True)
class Slot:
    """The right to have one call in flight, unless the call has stepped aside.

    `tokens` is the estimate that was taken from a token bucket when the slot was given. After `closes_s` a call that
    steps aside gets no slot again. `waits` is the scope of its latest wait aside.
    """

    aside: bool = False
    tokens: float = 0.0
    closes_s: float = math.inf
    waits: anyio.CancelScope | None = None


@dataclass(eq=False, slots=True)
class _Waiter:
    slot: Slot
    admitted: anyio.Event = field(default_factory=anyio.Event)
    gone: bool = False


class Slots:
    """At most `total` holders at once, fewer as the gate says; the waiting one with the lowest rank is next."""

    def __init__(self, total: int, gate: Gate | None = None) -> None:
        self.total = total
        self.in_use = 0
        self._gate: Gate = gate or _Open()
        self._waiting: list[tuple[int, int, _Waiter]] = []  # a heap of ranks and turns
        self._arrivals: deque[_Waiter] = deque()
        self._turns = count()
        self._granted = 0
        self._writing = 0
        self._failure: EndpointRefusedError | None = None
        self._news = anyio.Event()

    @property
    def most_unwritten(self) -> int:
        """Return the limit of calls that are in flight or have an answer that is not on the log yet."""
        return self.total + self.total // 4

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a slot, including those that stepped aside."""
        return sum(not waiter.gone for _, _, waiter in self._waiting)

    @asynccontextmanager
    async def hold(self, rank: int) -> AsyncIterator[Slot]:
        """Wait for a slot and keep it inside the block.

        Raises:
            EndpointRefusedError: there will be no more slots.
        """
        slot = Slot()
        await self._take(rank, slot)
        try:
            yield slot
        finally:
            if not slot.aside:
                self._give_back()

    async def step_aside(self, slot: Slot, seconds: float) -> bool:
        """Give a held slot to others, wait, and get it again before all calls that have not begun.

        Returns whether the slot is held again: not if it was dropped.

        Raises:
            EndpointRefusedError: there will be no more slots.
        """
        slot.aside = True
        self._give_back()
        with anyio.CancelScope(deadline=slot.closes_s) as waits:
            slot.waits = waits
            await anyio.sleep(seconds)
            await self._take(_FIRST, slot)
        if not waits.cancel_called:
            return True
        if not slot.aside:  # it was dropped while it was on its way to the slot
            slot.aside = True
            self._gate.left(slot)
            self._give_back()
        return False

    def close(self, slot: Slot, at_s: float) -> None:
        """Let a call make no further attempt after this time."""
        slot.closes_s = at_s
        if slot.waits is not None:
            slot.waits.deadline = at_s

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Count an answer that is being written; a quarter of the total may be, beside the calls on their way.

        Only calls in flight, or with an answer being written, can be paid for twice when a process is killed. So this
        is entered before the slot is given back: otherwise one more call would begin.
        """
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1
            self._admit()

    def reconsider(self) -> None:
        """Ask the gate again, because something has changed."""
        self._admit()
        self._news.set()

    def fail(self, error: EndpointRefusedError) -> None:
        """Refuse all waiting and future calls: there will be no more slots."""
        self._failure = error
        for _, _, waiter in self._waiting:
            waiter.admitted.set()  # without a slot: it is not gone
        self._waiting.clear()
        self._arrivals.clear()

    async def keep_time(self) -> None:
        """Ask the gate whenever it is to open by itself, until cancelled."""
        while True:
            with anyio.move_on_after(self._opens_in_s()):
                await self._news.wait()
            self._admit()
            self._news = anyio.Event()

    def _opens_in_s(self) -> float:
        """Return after how long to ask the gate again; infinite if only an event can help.

        A gate that opened since it refused knows of no later time. It is asked last, since time only opens it: one
        that was closed at the first question has told when it opens.
        """
        if not self._waiting:
            return math.inf
        opens_in_s = self._gate.opens_in_s()
        return 0.0 if self._has_room else opens_in_s

    async def _take(self, rank: int, slot: Slot) -> None:
        self._raise_failure()
        if not self._waiting and self._has_room:
            self._grant(slot)
            return
        waiter = _Waiter(slot)
        heapq.heappush(self._waiting, (rank, next(self._turns), waiter))
        self._arrivals.append(waiter)
        self._admit()
        try:
            await waiter.admitted.wait()
        except anyio.get_cancelled_exc_class():
            if waiter.admitted.is_set() and waiter.gone:
                slot.aside = True  # its holder has nothing to give back
                self._gate.left(slot)
                self._give_back()
            else:
                waiter.gone = True
                self._drop_gone()
            raise
        if not waiter.gone:
            self._raise_failure()

    @property
    def _is_full(self) -> bool:
        """Whether no more may begin, whatever the gate says."""
        return self.in_use >= self.total or self.in_use + self._writing >= self.most_unwritten

    @property
    def _has_room(self) -> bool:
        return not self._is_full and self._gate.admits(self.in_use)

    def _grant(self, slot: Slot) -> None:
        self.in_use += 1
        slot.aside = False
        self._gate.entered(slot)

    def _give_back(self) -> None:
        self.in_use -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._has_room:
            waiter = self._next()
            if waiter is None:
                return
            self._grant(waiter.slot)
            waiter.gone = True
            waiter.admitted.set()
        if self._waiting and not self._is_full:
            self._news.set()  # what the gate refused just now, it may allow after a while

    def _next(self) -> _Waiter | None:
        """Take the next waiter: of the lowest rank, and now and then the one that came first."""
        self._drop_gone()
        self._granted += 1
        if self._granted % _LONGEST_WAITING_EVERY == 0 and self._arrivals:
            return self._arrivals.popleft()
        return heapq.heappop(self._waiting)[2] if self._waiting else None

    def _drop_gone(self) -> None:
        """Drop waiters that have gone, once they are in front."""
        while self._waiting and self._waiting[0][2].gone:
            heapq.heappop(self._waiting)
        while self._arrivals and self._arrivals[0].gone:
            self._arrivals.popleft()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise EndpointRefusedError(str(self._failure), self._failure.refused)
