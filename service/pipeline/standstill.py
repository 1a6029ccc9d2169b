"""Description of a run that has work and does not move."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.messaging.broker import Broker
from service.pipeline.members import Members
from service.pipeline.role import Role
from service.pipeline.stall import read_waiting
from service.run.pace import duration
from service.run.progress import Progress

# Shorter breaks are no news: a call to the model may take that long.
_SHOWN_AFTER_S = 60.0

_WAITING = {
    Role.GENERATE: "prompts wait for generate",
    Role.ADMIT: "answers wait for admit",
    Role.CLASSIFY: "instructions wait for classify",
    Role.INSTANCES: "instructions wait for instances",
    Role.FINISH: "tasks wait for finish",
}


@dataclass(frozen=True, slots=True)
class Standstill:
    """For how long nothing has moved, and how many records wait by role.

    `abandoned` says that no process works on the run.
    """

    seconds: float
    waiting: Mapping[Role, int]
    abandoned: bool = False

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "worked_on": not self.abandoned,
            "seconds": round(self.seconds),
            "waiting_for": {role.value: count for role, count in self.waiting.items()},
        }

    def told(self, staff: Mapping[Role, Members] | None) -> str:
        """Return it in a line; names the roles that no process has, if the `staff` is known."""
        waiting = ", ".join(self._told(role, staff) for role in self.waiting)
        return f"nothing has moved for {duration(self.seconds)}: {waiting}"

    def row(self, run: str, staff: Mapping[Role, Members] | None) -> tuple[str, str]:
        """Return the name and the text of its row in a panel."""
        if self.abandoned:
            return "not running", f"`seedstream run --run {run}` continues it"
        return "stalled", self.told(staff)

    def _told(self, role: Role, staff: Mapping[Role, Members] | None) -> str:
        waiting = (
            "the run waits for its producer" if role is Role.PRODUCER else f"{self.waiting[role]} {_WAITING[role]}"
        )
        missing = staff is not None and (role not in staff or not staff[role].active)
        return f"{waiting} (no process has this role)" if missing else waiting


async def read_standstill(broker: Broker, run: str, progress: Progress, latest_ms: int) -> Standstill | None:
    """Return the standstill of a run by its log; None if it moves, or has no work."""
    still_s = last_moved_s(progress, latest_ms)
    if still_s is None:
        return None
    return Standstill(still_s, waiting_at_most(await read_waiting(broker, run), progress))


def waiting_at_most(waiting: Mapping[Role, int], progress: Progress) -> dict[Role, int]:
    """Return how many records wait by role, at most as many as the progress has; offsets also count transactions."""
    if progress.unread:
        return dict(waiting)
    most = {
        Role.GENERATE: progress.outstanding,
        Role.CLASSIFY: progress.pending,
        Role.INSTANCES: progress.pending,
        Role.FINISH: progress.pending,
    }
    capped = {role: min(count, most.get(role, count)) for role, count in waiting.items()}
    return {role: count for role, count in capped.items() if count > 0} or {Role.PRODUCER: 0}


def last_moved_s(progress: Progress, latest_ms: int) -> float | None:
    """Return the seconds since the latest record of a run that has work; None if it moves, or has none."""
    if progress.defined is None or progress.goal is None or progress.ended is not None or progress.paused:
        return None
    if not latest_ms:
        return None
    seconds = time.time() - latest_ms / 1000
    return seconds if seconds >= _SHOWN_AFTER_S else None
