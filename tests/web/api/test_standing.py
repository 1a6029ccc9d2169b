"""The state of a run in a word."""

import pytest

from service.messaging.messages import GoalSet
from service.pipeline.members import Members
from service.pipeline.role import Role
from service.run.progress import Progress
from service.settings import Settings
from service.web.api.standing import RunStatus, command_for, is_worked_on_elsewhere, status_of

pytestmark = pytest.mark.usefixtures("no_settings")
_ON_KAFKA = Settings(broker="kafka://kafka:9092", run="a")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("members", "expected"),
    [({}, False), ({Role.ADMIT: Members((), ("b",))}, False), ({Role.GENERATE: Members(("a",))}, True)],
)
async def test_active_members_work_on_a_run(members: dict[Role, Members], expected: object) -> None:
    assert await is_worked_on_elsewhere(_ON_KAFKA, members) is expected


def test_a_run_without_a_goal_is_undefined() -> None:
    status = status_of(Progress(), worked_on=False, stalled=False)
    assert status is RunStatus.UNDEFINED
    assert command_for(status, _ON_KAFKA) == "seedstream goal --run a --target N"


def test_a_paused_run_needs_no_process() -> None:
    progress = Progress()
    progress.apply(GoalSet(run="a", target=5, paused=True))
    assert status_of(progress, worked_on=False, stalled=False) is RunStatus.PAUSED


def test_a_run_nobody_works_on_names_the_command() -> None:
    assert command_for(RunStatus.NOT_RUNNING, _ON_KAFKA) == "seedstream worker ROLE… --run a"
    assert command_for(RunStatus.RUNNING, _ON_KAFKA) is None
