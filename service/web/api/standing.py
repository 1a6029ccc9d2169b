"""The state of a run in a word, and the command that brings it on."""

import os
from collections.abc import Mapping
from enum import StrEnum

from anyio import to_thread

from service.bootstrap.open_run import holder_of
from service.pipeline.members import Members
from service.pipeline.role import Role
from service.run.progress import Progress
from service.settings import Settings
from service.web.commands import goal_command, work_command


class RunStatus(StrEnum):
    """The state of a run: `undefined` has no goal yet, `not_running` has work and no process that works on it."""

    UNDEFINED = "undefined"
    RUNNING = "running"
    NOT_RUNNING = "not_running"
    STALLED = "stalled"
    PAUSED = "paused"
    ENDED = "ended"


async def is_worked_on_elsewhere(settings: Settings, staff: Mapping[Role, Members]) -> bool:
    """Return whether a process works on a run on which this one does not work.

    On Kafka, it is among the active members of the groups. The embedded log has a lock; this process takes it for
    single writes only.
    """
    if settings.on_kafka:
        return any(members.active for members in staff.values())
    holder = await to_thread.run_sync(holder_of, settings)
    return holder is not None and holder != os.getpid()


def status_of(progress: Progress, *, worked_on: bool, stalled: bool) -> RunStatus:
    """Return the state of a run."""
    if progress.ended is not None:
        return RunStatus.ENDED
    if progress.paused:
        return RunStatus.PAUSED
    if progress.defined is None or progress.goal is None:
        return RunStatus.UNDEFINED
    if not worked_on:
        return RunStatus.NOT_RUNNING
    return RunStatus.STALLED if stalled else RunStatus.RUNNING


def command_for(status: RunStatus, settings: Settings) -> str | None:
    """Return the command that brings a run on, if it needs one."""
    if status is RunStatus.NOT_RUNNING:
        return work_command(settings)
    return goal_command(settings) if status is RunStatus.UNDEFINED else None
