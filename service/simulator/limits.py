"""What each key may do: so many requests and tokens a minute, so many requests at once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.simulator.error_responses import RefusedError, beyond
from service.simulator.journal import Entry
from service.simulator.options import SimulatorOptions

# How much of a minute's allowance may be used in one moment: five seconds' worth.
_BURST_S = 5.0
_MINUTE_S = 60.0
# What is left over when sums of fractions are compared.
_NOTHING = 1e-6


@dataclass(slots=True)
class Bucket:
    """How much of an allowance per minute is in use; it runs down evenly.

    What is more than fits in is let in when the bucket is empty: nothing is refused for ever.
    """

    used: float = 0.0
    at_s: float = 0.0

    def wait_s(self, amount: float, per_minute: int, now_s: float) -> float:
        """Return in how many seconds so much may be taken: 0 if it may be now."""
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
    """The limits of every key, and what is in use of them; those without a key share theirs."""

    def __init__(self, options: SimulatorOptions, clock: Callable[[], float] = time.monotonic):
        self._options = options
        self._clock = clock
        self._uses: dict[str | None, _Use] = {}

    def change(self, options: SimulatorOptions) -> None:
        """Have other limits from now on; what is in use stays so."""
        self._options = options

    @contextmanager
    def admitted(self, entry: Entry, reserved: int) -> Iterator[None]:
        """Let a request in that may use so many tokens; what it was not charged is given back when it ends.

        Raises:
            RefusedError: a limit of its key is reached; says when it will not be.
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
