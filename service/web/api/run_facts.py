"""The state of a run for clients: its counts, who works on it, and what waits."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import msgspec

from service.bootstrap.asked_model import AskedModel
from service.pipeline.members import read_members
from service.pipeline.stall import read_waiting
from service.pipeline.standstill import Standstill, last_moved_s, waiting_at_most
from service.run.facts import facts
from service.web.api.run_answers import ModelState, RunFacts
from service.web.api.standing import RunStatus, command_for, is_worked_on_elsewhere, status_of
from service.web.runs import LiveRun

# Asking the brokers costs more than counting: clients share what was asked lately.
_FRESH_S = 1.0


class Lookout:
    """The facts of a run that only the log's groups know: processes at work, and records that wait.

    The brokers are asked once a second at most.
    """

    def __init__(self, live: LiveRun) -> None:
        self._live = live
        self._looking = anyio.Lock()
        self._seen: dict[str, Any] = {}
        self._seen_s = float("-inf")

    async def look(self) -> dict[str, Any]:
        """Return the processes at work, the records that wait by role, the standstill if there is one, and the state.

        Raises:
            BrokerError: the brokers do not answer.
        """
        async with self._looking:
            if anyio.current_time() - self._seen_s >= _FRESH_S:
                self._seen, self._seen_s = await self._look(), anyio.current_time()
            return self._seen

    async def _look(self) -> dict[str, Any]:
        live = self._live
        waiting = waiting_at_most(await read_waiting(live.broker, live.name), live.progress)
        staff = await read_members(live.broker, live.name)
        worked_on = live.models is not None or await is_worked_on_elsewhere(live.settings, staff)
        still_s = last_moved_s(live.progress, live.latest_ms)
        still = None if still_s is None else Standstill(still_s, waiting, abandoned=not worked_on)
        return {
            "lag": {role.value: count for role, count in waiting.items() if count},
            "at_work": {role.value: asdict(each) for role, each in staff.items()},
            "stalled": still.facts() if still is not None else None,
            "worked_on": worked_on,
        }


_lookouts: WeakKeyDictionary[LiveRun, Lookout] = WeakKeyDictionary()


async def facts_of(live: LiveRun) -> RunFacts:
    """Return the state of a run.

    Raises:
        BrokerError: the brokers do not answer.
    """
    seen = await _look(live)
    status = _status(live, seen)
    progress, pace = live.progress, live.pace
    return msgspec.convert(
        facts(progress)
        | {name: each for name, each in seen.items() if name != "worked_on"}
        | {
            "run": live.name,
            "state": status,
            "command": command_for(status, live.settings),
            "pace": {"per_minute": pace.per_minute(progress.finished), "left_s": pace.left_s(progress)},
            "model": None if live.models is None else [_state_of(each) for each in live.models.each],
            "as_of": time_of(live.latest_ms),
        },
        RunFacts,
    )


async def state_of(live: LiveRun) -> RunStatus:
    """Return the state of a run in a word.

    Raises:
        BrokerError: the brokers do not answer.
    """
    return _status(live, await _look(live))


async def _look(live: LiveRun) -> dict[str, Any]:
    return await _lookouts.setdefault(live, Lookout(live)).look()


def _status(live: LiveRun, seen: Mapping[str, Any]) -> RunStatus:
    return status_of(live.progress, worked_on=seen["worked_on"], stalled=seen["stalled"] is not None)


def _state_of(asked: AskedModel) -> ModelState:
    dispatcher = asked.dispatcher
    return ModelState(
        name=asked.name,
        limit=int(dispatcher.balancer.limit),
        in_flight=dispatcher.slots.in_use,
        waiting=dispatcher.slots.waiting,
        health="answers" if dispatcher.refusal is None else f"takes no calls: {dispatcher.refusal}",
    )


def time_of(timestamp_ms: int) -> str | None:
    """Return a time as RFC 3339, or `None` for 0."""
    if not timestamp_ms:
        return None
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
