"""What the simulator was asked and what it answered: the ground truth for tests of clients."""

from collections import Counter, deque
from dataclasses import dataclass, field

# As nginx logs it: the client hung up before the answer.
CLIENT_GONE = 499


@dataclass(slots=True)
class Entry:
    """One request. Tokens are counted when an answer was given; `failure` names an injected one."""

    seq: int
    path: str
    status: int = CLIENT_GONE
    prompt_sha256: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failure: str | None = None


@dataclass(slots=True)
class Totals:
    """Counters over all requests, those that have left the ring included."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_failure: Counter[str] = field(default_factory=Counter)

    def add(self, entry: Entry) -> None:
        """Count one request."""
        self.requests += 1
        self.prompt_tokens += entry.prompt_tokens
        self.completion_tokens += entry.completion_tokens
        self.by_status[str(entry.status)] += 1
        if entry.failure:
            self.by_failure[entry.failure] += 1


class Journal:
    """The latest requests, in the order in which they ended, and totals since the last reset."""

    def __init__(self, size: int):
        self.entries: deque[Entry] = deque(maxlen=size)
        self.totals = Totals()
        self._opened = 0

    def open(self, path: str) -> Entry:
        """Return an entry for a request that has arrived; numbers start at 1 and survive a reset."""
        self._opened += 1
        return Entry(self._opened, path)

    def close(self, entry: Entry) -> None:
        """Record how a request ended."""
        self.entries.append(entry)
        self.totals.add(entry)

    def reset(self) -> None:
        """Forget all entries and totals."""
        self.entries.clear()
        self.totals = Totals()

    def as_json(self) -> dict[str, object]:
        """Return totals and entries, for orjson."""
        return {"totals": self.totals, "requests": list(self.entries)}
