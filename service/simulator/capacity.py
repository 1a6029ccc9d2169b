"""Concurrency limit and latency model of the simulator."""

import random
from collections import deque

import anyio

from service.simulator.error_responses import OVERLOADED, RefusedError
from service.simulator.options import SimulatorOptions
from service.simulator.text.word_tables import seeded

# llm-d clamps a drawn latency to within 70 % of its mean.
_LEAST, _MOST = 0.3, 1.7


class Capacity:
    """Limits concurrent completions to `max_num_seqs` (0: no limit); the others wait in a bounded FIFO queue.

    `async with capacity:` holds one place. Entering it raises `RefusedError` if the queue is full.
    """

    def __init__(self, options: SimulatorOptions):
        self.running = 0
        self._queue: deque[anyio.Event] = deque()
        self.resize(options)

    def resize(self, options: SimulatorOptions) -> None:
        """Apply new limits: added places are filled from the queue at once, removed ones go as completions end."""
        self._places = options.max_num_seqs
        self._most_waiting = options.max_waiting_queue_length
        self._fill()

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a place."""
        return len(self._queue)

    async def __aenter__(self) -> None:
        if self._has_room:
            self.running += 1
        elif self.waiting >= self._most_waiting:
            raise RefusedError(OVERLOADED)
        else:
            await self._wait()

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    @property
    def _has_room(self) -> bool:
        return not self._places or self.running < self._places

    async def _wait(self) -> None:
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            await turn.wait()
        except anyio.get_cancelled_exc_class():
            if turn.is_set():
                self._leave()
            else:
                self._queue.remove(turn)
            raise

    def _leave(self) -> None:
        self.running -= 1
        self._fill()

    def _fill(self) -> None:
        while self._queue and self._has_room:
            self.running += 1
            self._queue.popleft().set()


def latency_s(options: SimulatorOptions, prompt: str, tokens: int, running: int) -> float:
    """Return the latency in seconds of a completion of `tokens` tokens; equal prompts and loads give equal values."""
    if not (options.time_to_first_token_s or options.inter_token_latency_s):
        return 0.0
    rng = seeded(options.seed, "latency", prompt)
    first = _drawn(rng, options.time_to_first_token_s, options.time_to_first_token_std_dev_s)
    between = _drawn(rng, options.inter_token_latency_s, options.inter_token_latency_std_dev_s)
    return (first + max(0, tokens - 1) * between) * _load_factor(options, running)


def _drawn(rng: random.Random, mean: float, deviation: float) -> float:
    return min(max(rng.gauss(mean, deviation), _LEAST * mean), _MOST * mean)


def _load_factor(options: SimulatorOptions, running: int) -> float:
    """Interpolate between 1 for a single completion and `time_factor_under_load` at full capacity."""
    others = options.max_num_seqs - 1
    load = min(1.0, (running - 1) / others) if others > 0 else 1.0
    return 1 + (options.time_factor_under_load - 1) * load
