"""Whether a server has become slow: time per output token lately, against its long average (as Netflix's gradient2).

Total latency depends on how much was written, so it is divided by the tokens; and only calls of one kind are compared,
since one word of a classification takes as long to begin as a page. Pure.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

_SLOW = 2.0
_HELPED = 0.9
_LONG = 1_000
_SHORT = 32
_ENOUGH = 200

Verdict = Literal["nothing", "cut", "restore"]


@dataclass(slots=True)
class _Average:
    """Seconds per token over about so many calls: a ratio of decaying sums."""

    horizon: int
    seconds: float = 0.0
    tokens: float = 0.0
    calls: int = 0

    def add(self, seconds: float, tokens: int) -> None:
        kept = 1 - 1 / min(self.calls + 1, self.horizon)
        self.seconds = self.seconds * kept + seconds
        self.tokens = self.tokens * kept + max(tokens, 1)
        self.calls += 1

    @property
    def value(self) -> float:
        return self.seconds / self.tokens if self.tokens else 0.0


@dataclass(slots=True)
class _Kind:
    long: _Average = field(default_factory=lambda: _Average(_LONG))
    short: _Average = field(default_factory=lambda: _Average(_SHORT))

    @property
    def slowdown(self) -> float:
        """Return how many times as long a token takes as it used to."""
        return self.short.value / self.long.value if self.long.calls >= _ENOUGH and self.long.value else 1.0


@dataclass(slots=True)
class Slowdown:
    """Tells when to cut a limit for slowness, and to restore it where the cut was of no help.

    `before` is the limit before the latest cut.
    """

    before: float = 0.0
    _kinds: dict[Hashable, _Kind] = field(default_factory=dict)
    _at_cut: float | None = None
    _since_cut: int = 0

    def add(self, kind: object, seconds: float, tokens: int, *, fresh: bool, in_flight: float) -> Verdict:
        """Count one answer; `fresh` ones were asked for after the latest cut."""
        seen = self._kinds.setdefault(kind, _Kind())
        seen.long.add(seconds, tokens)
        seen.short.add(seconds, tokens)
        if self._at_cut is None:
            return "cut" if seen.slowdown > _SLOW else "nothing"
        self._since_cut += fresh
        if self._since_cut < max(2 * _SHORT, in_flight):
            return "nothing"
        helped = seen.slowdown < _HELPED * self._at_cut
        self._at_cut, self._since_cut = None, 0
        if helped:
            return "nothing"
        for each in self._kinds.values():  # it is as slow for fewer: that is its pace now
            each.long = _Average(_LONG, each.short.seconds, each.short.tokens, each.long.calls)
        return "restore"

    def cut_at(self, limit: float) -> None:
        """Note that the limit was cut."""
        self.before = limit
        self._at_cut = max(each.slowdown for each in self._kinds.values())
        self._since_cut = 0
