"""Simulated servers and callers. Tests of a limit need no real time."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from service.lm.dispatch.adaptive_limit import AdaptiveLimit, Sent

# The reply to a call: whether the server refuses it, and the seconds until it replies.
Answer = tuple[bool, float]
Server = Callable[[int, float, Random], Answer]

REFUSED_S = 0.002


def allowing(at_once: int | Callable[[float], int], latency_s: float = 0.5) -> Server:
    """Return a server that refuses calls beyond `at_once` in flight."""

    def answer(running: int, now_s: float, _: Random) -> Answer:
        most = at_once if isinstance(at_once, int) else at_once(now_s)
        return (True, REFUSED_S) if running >= most else (False, latency_s)

    return answer


def refusing(share: float, latency_s: float = 0.5) -> Server:
    """Return a server that refuses a share of all calls, whatever its load."""

    def answer(_running: int, _now_s: float, rng: Random) -> Answer:
        return (True, REFUSED_S) if rng.random() < share else (False, latency_s)

    return answer


def both(one: Server, other: Server) -> Server:
    """Return a server that refuses each call that one of the two refuses."""

    def answer(running: int, now_s: float, rng: Random) -> Answer:
        first = one(running, now_s, rng)
        return first if first[0] else other(running, now_s, rng)

    return answer


@dataclass
class Crowd:
    """Callers of one server, without end. A refused call is made again after `retry_after_s`."""

    limit: AdaptiveLimit
    server: Server
    retry_after_s: float = 1.0
    in_work: int = 160
    seed: int = 0
    refusals: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    now_s: float = 0.0
    running: int = 0
    in_flight: int = 0
    _aside: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: count = field(default_factory=count)  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)

    def run(self, until_s: float) -> None:
        self._send()
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, happen = heapq.heappop(self._events)
            happen()
            self._send()
        self.now_s = until_s

    def rate(self, since_s: float) -> float:
        """Return the answers per second since `since_s`."""
        return sum(at >= since_s for at in self.answers) / (self.now_s - since_s)

    def refused_share(self, since_s: float = 0.0) -> float:
        refused, answered = (sum(at >= since_s for at in times) for times in (self.refusals, self.answers))
        return refused / (refused + answered)

    def _at(self, delay_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now_s + delay_s, next(self._order), happen))

    def _send(self) -> None:
        while self.in_flight < self.limit.at(self.now_s) and self.in_flight + self._aside < self.in_work:
            self.in_flight += 1
            refused, delay_s = self.server(self.running, self.now_s, self._rng)
            self.running += not refused
            sent = self.limit.sent(self.in_flight, self.now_s)
            self._at(delay_s, lambda sent=sent, refused=refused: self._end(sent, refused=refused))  # type: ignore[misc]
        if self.limit.at(self.now_s) < self.limit.settled or not self._events:
            self._at(0.005, lambda: None)

    def _end(self, sent: Sent, *, refused: bool) -> None:
        if refused:
            self.refusals.append(self.now_s)
            self.limit.refused(sent, self.in_flight, self.now_s)
            self._aside += 1
            self._at(self.retry_after_s, self._return)
        else:
            self.running -= 1
            self.answers.append(self.now_s)
            self.limit.answered(sent, self.now_s)
        self.in_flight -= 1

    def _return(self) -> None:
        self._aside -= 1
