"""Rate limits per API key: requests per minute, tokens per minute and concurrent requests."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.simulator.error_responses import RefusedError, beyond
from service.simulator.journal import Entry
from service.simulator.options import SimulatorOptions

# Burst size: five seconds' worth of the allowance may be used at once.
_BURST_S = 5.0
_MINUTE_S = 60.0
# Tolerance for the rounding errors of float sums.
_NOTHING = 1e-6


@dataclass(slots=True)
class Bucket:
    """A leaky bucket: the used part of an allowance per minute, which drains evenly.

    An amount larger than the bucket is admitted once the bucket is empty, so no request is refused for ever.
    """

    used: float = 0.0
    at_s: float = 0.0

    def wait_s(self, amount: float, per_minute: int, now_s: float) -> float:
        """Return the seconds until `amount` may be taken, 0 if it may be taken now."""
        rate = per_minute / _MINUTE_S
        self.used = max(0.0, self.used - (now_s - self.at_s) * rate)
        self.at_s = now_s
        excess = self.used + amount - max(amount, rate * _BURST_S)
        return excess / rate if excess > _NOTHING else 0.0


@dataclass(slots=True)
class _Use:
    at_once: int = 0
    requests: Bucket = field(default_factory=Bucket)
    tokens: Bucket = field(default_factory=Bucket)


class KeyLimits:
    """The limits of every key and their current usage; all requests without a key share one usage."""

    def __init__(self, options: SimulatorOptions, clock: Callable[[], float] = time.monotonic):
        self._options = options
        self._clock = clock
        self._uses: dict[str | None, _Use] = {}

    def change(self, options: SimulatorOptions) -> None:
        """Apply new limits from now on; the current usage is kept."""
        self._options = options

    @contextmanager
    def admitted(self, entry: Entry, reserved: int) -> Iterator[None]:
        """Admit a request and reserve tokens for it; tokens that it was not charged are returned when it ends.

        Raises:
            RefusedError: the key has reached a limit; `after_s` is the wait for a limit per minute.
        """
        use = self._uses.setdefault(entry.key, _Use())
        self._refuse_beyond(use, reserved)
        use.at_once += 1
        use.requests.used += 1
        use.tokens.used += reserved
        try:
            yield
        finally:
            use.at_once -= 1
            use.tokens.used += entry.charged_tokens - reserved

    def _refuse_beyond(self, use: _Use, reserved: int) -> None:
        options = self._options
        if options.requests_at_once and use.at_once >= options.requests_at_once:
            raise RefusedError(beyond("requests at once", options.requests_at_once))
        now_s = self._clock()
        for bucket, amount, most, name in (
            (use.requests, 1, options.requests_per_minute, "requests per minute"),
            (use.tokens, reserved, options.tokens_per_minute, "tokens per minute"),
        ):
            wait_s = bucket.wait_s(amount, most, now_s) if most else 0.0
            if wait_s:
                raise RefusedError(beyond(name, most), wait_s)
