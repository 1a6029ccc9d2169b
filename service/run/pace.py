"""The pace at which tasks are finished now, and the time left at that pace."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from service.run.progress import Progress

# The pace of the last minutes follows a yield that falls as the pool grows; a slow run needs some tasks to have one.
_RECENT_S = 300.0
_RECENT_TASKS = 30
_SAMPLE_EVERY_S = 1.0
_SHORTEST_S = 5.0


@dataclass(slots=True)
class Pace:
    """The pace of a run in the last minutes, counted from the first task finished under this process's eyes.

    The time before that went into the start.
    """

    finished_before: int = 0
    clock: Callable[[], float] = time.monotonic
    _stopped: bool = False
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def stop(self) -> None:
        """Note that the run is stopped: no time is left."""
        self._stopped = True

    def per_minute(self, finished: int) -> float | None:
        """Return the number of finished tasks per minute; None before some seconds have passed since the first task."""
        now_s = self.clock()
        self._note(now_s, finished)
        if not self._seen or now_s - self._seen[0][0] < _SHORTEST_S:
            return None
        since_s, before = self._seen[0]
        return (finished - before) * 60 / (now_s - since_s)

    def left_s(self, progress: Progress) -> float | None:
        """Return the seconds left at this pace; None if it is unknown, or none is left.

        None is left of a run that has ended, is paused or is being stopped.
        """
        if self._stopped or progress.ended is not None or progress.paused:
            return None
        rate = self.per_minute(progress.finished)
        missing = progress.target - progress.finished
        return missing * 60 / rate if rate and missing > 0 else None

    def _note(self, now_s: float, finished: int) -> None:
        if finished == self.finished_before:
            return
        if not self._seen or now_s - self._seen[-1][0] >= _SAMPLE_EVERY_S:
            self._seen.append((now_s, finished))
        while (
            len(self._seen) > 1
            and self._seen[1][0] <= now_s - _RECENT_S
            and self._seen[1][1] <= finished - _RECENT_TASKS
        ):
            self._seen.popleft()


def duration(seconds: float) -> str:
    """Return a duration in readable form."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"
