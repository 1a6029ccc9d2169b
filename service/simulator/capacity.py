"""How much the simulator does at once, and how long a completion takes."""

import random

import anyio

from service.simulator.options import SimulatorOptions
from service.simulator.tables import seeded

# llm-d keeps a drawn latency within 70 % of its mean.
_LEAST, _MOST = 0.3, 1.7


class QueueFullError(Exception):
    """As many requests wait as are allowed to."""


class Capacity:
    """`async with capacity:` holds one of `max_num_seqs` places, after a wait in a bounded queue."""

    def __init__(self, options: SimulatorOptions):
        self.running = 0
        self.waiting = 0
        self._most_waiting = options.max_waiting_queue_length
        self._places = anyio.Semaphore(options.max_num_seqs) if options.max_num_seqs else None

    async def __aenter__(self) -> None:
        if self._places is not None:
            await self._take(self._places)
        self.running += 1

    async def __aexit__(self, *_: object) -> None:
        self.running -= 1
        if self._places is not None:
            self._places.release()

    async def _take(self, places: anyio.Semaphore) -> None:
        try:
            places.acquire_nowait()
        except anyio.WouldBlock:
            if self.waiting >= self._most_waiting:
                raise QueueFullError from None
            self.waiting += 1
            try:
                await places.acquire()
            finally:
                self.waiting -= 1


def latency_s(options: SimulatorOptions, prompt: str, tokens: int) -> float:
    """Return how long a completion of so many tokens takes: the same for the same prompt."""
    if not (options.time_to_first_token_s or options.inter_token_latency_s):
        return 0.0
    rng = seeded(options.seed, "latency", prompt)
    first = _drawn(rng, options.time_to_first_token_s, options.time_to_first_token_std_dev_s)
    between = _drawn(rng, options.inter_token_latency_s, options.inter_token_latency_std_dev_s)
    return first + max(0, tokens - 1) * between


def _drawn(rng: random.Random, mean: float, deviation: float) -> float:
    return min(max(rng.gauss(mean, deviation), _LEAST * mean), _MOST * mean)
