"""The line of `status` about a run that has work and does not move."""

import time

from msgspec.structs import replace

from service.messaging.messages import RunEnded
from service.pipeline.members import Members
from service.pipeline.role import Role
from service.pipeline.standstill import Standstill, last_moved_s, waiting_at_most
from service.run.progress import Progress
from tests.support import examples
from tests.support.logs import RUN


def test_a_standstill_names_what_waits_and_who_is_missing() -> None:
    still = Standstill(245.0, {Role.GENERATE: 12, Role.FINISH: 1})
    staff = {Role.FINISH: Members(("a",)), Role.PRODUCER: Members((), ("b",))}
    assert still.told(staff) == (
        "nothing has moved for 4m 05s: 12 prompts wait for generate (no process has this role), 1 tasks wait for finish"
    )
    assert still.told(None) == "nothing has moved for 4m 05s: 12 prompts wait for generate, 1 tasks wait for finish"
    assert Standstill(60.0, {Role.PRODUCER: 0}).told(staff) == (
        "nothing has moved for 1m 00s: the run waits for its producer (no process has this role)"
    )
    assert still.row(RUN, staff) == ("stalled", still.told(staff))
    assert still.facts() == {"worked_on": True, "seconds": 245, "waiting_for": {"generate": 12, "finish": 1}}


def test_a_run_that_nobody_works_on_is_not_running() -> None:
    still = Standstill(7300.0, {Role.PRODUCER: 0}, abandoned=True)
    assert still.row("books", None) == ("not running", "`seedstream run --run books` continues it")
    assert still.facts()["worked_on"] is False


def test_only_a_run_with_work_stands_still() -> None:
    progress, now_ms = Progress(), round(time.time() * 1000)
    assert last_moved_s(progress, now_ms - 90_000) is None
    for message in (examples.definition(0), examples.goal(5)):
        progress.apply(message)
    still_s = last_moved_s(progress, now_ms - 90_000)
    assert still_s is not None
    assert 89 < still_s < 120
    assert last_moved_s(progress, now_ms) is None
    progress.apply(replace(examples.goal(5), paused=True))
    assert last_moved_s(progress, now_ms - 90_000) is None
    progress.apply(examples.goal(5))
    progress.apply(RunEnded.target_reached(RUN, 5))
    assert last_moved_s(progress, now_ms - 90_000) is None


def test_no_more_records_wait_than_the_run_has() -> None:
    progress = Progress()
    for message in (examples.prompt(0), examples.prompt(1), examples.decision(0, accepted=1)):
        progress.apply(message)
    offsets = {Role.GENERATE: 3, Role.ADMIT: 2, Role.CLASSIFY: 4}
    assert waiting_at_most(offsets, progress) == {Role.GENERATE: 1, Role.ADMIT: 2, Role.CLASSIFY: 1}
    assert waiting_at_most({Role.GENERATE: 1, Role.FINISH: 1}, Progress()) == {Role.PRODUCER: 0}
