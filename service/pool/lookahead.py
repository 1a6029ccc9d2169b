"""The distance ahead of the filter at which a screen begins, to have finished before the filter arrives."""

_WEIGHT = 0.3
_MARGIN = 1.25
# The time from the acknowledgement of a hint to the filter's memory.
_ON_THE_WAY_S = 0.05


class Lookahead:
    """Estimates the filter's pace from its committed offsets. Times are of any one clock, in seconds."""

    def __init__(self) -> None:
        self.offset = 0
        self._noted_s: float | None = None
        self._step = 0
        self._per_s = 0.0

    def note(self, offset: int, now_s: float) -> None:
        """Note a committed offset of the filter."""
        if self._noted_s is None:
            self.offset, self._noted_s = offset, now_s
        elif offset > self.offset and now_s > self._noted_s:
            self._step = offset - self.offset
            per_s = self._step / (now_s - self._noted_s)
            self._per_s = per_s if self._per_s == 0.0 else (1 - _WEIGHT) * self._per_s + _WEIGHT * per_s
            self.offset, self._noted_s = offset, now_s

    def begin(self, now_s: float, takes_s: float) -> int:
        """Return the first offset worth beginning with, if hints on it are written after that time.

        The filter is somewhere in the batch behind its last commit now, and goes on meanwhile.
        """
        if self._noted_s is None:
            return 0
        since_commit = min(self._per_s * (now_s - self._noted_s), self._step)
        return self.offset + int(since_commit + _MARGIN * self._per_s * (takes_s + _ON_THE_WAY_S))
