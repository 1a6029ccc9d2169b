"""Counts calls that failed and will be made again, for the live view and the log."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_TELL_AFTER = 2
_TELL_AGAIN_S = 30.0


@dataclass(slots=True)
class Retrying:
    """The number of calls that wait to be tried again, and the latest reason; failures count from the latest answer."""

    waiting: int = 0
    reason: str = ""
    _failures: int = 0
    _told_s: float = -math.inf

    def failed(self, reason: str, now_s: float) -> bool:
        """Count a failed attempt; returns whether to log it."""
        self.reason = reason
        self._failures += 1
        due = self._failures >= _TELL_AFTER and now_s - self._told_s >= _TELL_AGAIN_S
        self._told_s = now_s if due else self._told_s
        return due

    def answered(self) -> None:
        """Reset the count of failures: the model answers."""
        self._failures = 0

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Count a call as waiting for as long as the block lasts."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @property
    def told(self) -> str:
        """Describe the waiting calls in a line; empty while hardly anything fails."""
        if not self.waiting or self._failures < _TELL_AFTER:
            return ""
        calls = "1 call waits" if self.waiting == 1 else f"{self.waiting} calls wait"
        return f"{calls} to be tried again: {self.reason}"
