"""Journal of requests, answers and charges: the ground truth for tests of clients and of their bills.

A request is charged if a completion was generated for it. `told` says whether the response reported the usage to the
client. Failures without a completion cost nothing.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field

# nginx's status codes: 499, the client left before the response; 444, the server closed the connection without one.
CLIENT_GONE = 499
NO_ANSWER = 444


@dataclass(slots=True)
class Entry:
    """One request. Token counts are the charged ones; `completion_tokens` includes `reasoning_tokens`.

    `at_ms` is the time of arrival in milliseconds since the start. `key` is a digest of the client's API key.
    `failure` names the injected failure. `finish_reason` is None if the client cannot have read it.
    """

    seq: int
    path: str
    at_ms: float
    duration_ms: float = 0.0
    status: int = CLIENT_GONE
    key: str | None = None
    prompt_sha256: str | None = None
    max_tokens: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    told: bool = False
    failure: str | None = None

    @property
    def charged_tokens(self) -> int:
        """Sum of the charged prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(slots=True)
class Totals:
    """Counters over all requests since the last reset, including those that the journal has dropped.

    Tokens with the prefix `untold_` were charged without being reported to the client; the others were reported.
    `most_at_once` is the peak of concurrent completions. `most_open` is the peak of open requests: running, waiting,
    hanging or about to be refused.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    untold_answers: int = 0
    untold_prompt_tokens: int = 0
    untold_completion_tokens: int = 0
    untold_reasoning_tokens: int = 0
    most_at_once: int = 0
    most_open: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_failure: Counter[str] = field(default_factory=Counter)

    def add(self, entry: Entry) -> None:
        """Add a finished request to the counters."""
        self.requests += 1
        self.by_status[str(entry.status)] += 1
        if entry.failure:
            self.by_failure[entry.failure] += 1
        if entry.told:
            self.prompt_tokens += entry.prompt_tokens
            self.completion_tokens += entry.completion_tokens
            self.reasoning_tokens += entry.reasoning_tokens
        elif entry.charged_tokens:
            self.untold_answers += 1
            self.untold_prompt_tokens += entry.prompt_tokens
            self.untold_completion_tokens += entry.completion_tokens
            self.untold_reasoning_tokens += entry.reasoning_tokens


class Journal:
    """The latest `size` requests in the order in which they ended, and totals since the last reset."""

    def __init__(self, size: int):
        self.entries: deque[Entry] = deque(maxlen=size)
        self.totals = Totals()
        self._started_s = time.monotonic()
        self._opened = 0
        self._open = 0

    def open(self, path: str) -> Entry:
        """Return an entry for a new request; sequence numbers start at 1 and continue after a reset."""
        self._opened += 1
        self._open += 1
        self.totals.most_open = max(self.totals.most_open, self._open)
        return Entry(self._opened, path, self._now_ms())

    def close(self, entry: Entry) -> None:
        """Set the duration of a finished request, store its entry and add it to the totals."""
        self._open -= 1
        entry.duration_ms = round(self._now_ms() - entry.at_ms, 3)
        self.entries.append(entry)
        self.totals.add(entry)

    def running(self, completions: int) -> None:
        """Update the peak of concurrent completions."""
        self.totals.most_at_once = max(self.totals.most_at_once, completions)

    def reset(self) -> None:
        """Drop all entries and totals."""
        self.entries.clear()
        self.totals = Totals()

    def as_json(self) -> dict[str, object]:
        """Return totals and entries as objects that orjson can serialise."""
        return {"totals": self.totals, "requests": list(self.entries)}

    def _now_ms(self) -> float:
        return round((time.monotonic() - self._started_s) * 1000, 3)
