"""Detects that a server has become slow: recent time per output token against its long average, as Netflix's gradient2.

Latency grows with the length of an answer, so it is divided by the tokens. Only calls of one kind are compared, since
the first token of a one-word answer takes as long as that of a page. Pure.
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
    """Seconds per token over about `calls` calls: a ratio of decaying sums."""

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
        """Return the recent time per token divided by the long average."""
        return self.short.value / self.long.value if self.long.calls >= _ENOUGH and self.long.value else 1.0


@dataclass(slots=True)
class Slowdown:
    """Decides when to cut a limit for slowness, and when to restore it because the cut did not help.

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
        for each in self._kinds.values():  # it is as slow with fewer calls: that is its pace now
            each.long = _Average(_LONG, each.short.seconds, each.short.tokens, each.long.calls)
        return "restore"

    def cut_at(self, limit: float) -> None:
        """Note that the limit was cut."""
        self.before = limit
        self._at_cut = max(each.slowdown for each in self._kinds.values())
        self._since_cut = 0
