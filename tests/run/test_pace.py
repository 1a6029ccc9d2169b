"""The pace of a run and the time left."""

from dataclasses import dataclass

from service.cli.facts import summary
from service.messaging.messages import RunEnded
from service.run.pace import Pace
from service.run.progress import Progress
from tests.support import examples
from tests.support.logs import RUN


@dataclass
class Clock:
    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def watched(target: int) -> tuple[Clock, Pace, Progress]:
    clock, progress = Clock(), Progress()
    progress.apply(examples.goal(target))
    return clock, Pace(clock=clock), progress


def finish(progress: Progress, count: int) -> None:
    for seq in range(progress.finished, progress.finished + count):
        progress.apply(examples.finished(seq))


def test_the_time_before_the_first_task_does_not_count() -> None:
    clock, pace, progress = watched(41)
    clock.now_s += 120
    assert pace.per_minute(0) is None
    assert summary(progress, pace)["pace"] == "not known yet"
    finish(progress, 1)
    assert pace.per_minute(1) is None
    clock.now_s += 60
    finish(progress, 20)
    assert pace.per_minute(21) == 20
    assert pace.left_s(progress) == 60


def test_tasks_of_an_earlier_process_do_not_count() -> None:
    clock = Clock()
    pace = Pace(finished_before=500, clock=clock)
    assert pace.per_minute(500) is None
    clock.now_s += 10
    pace.per_minute(501)
    clock.now_s += 60
    assert pace.per_minute(507) == 6


def test_the_time_left_follows_a_falling_yield() -> None:
    clock, pace, progress = watched(10_000)
    for per_minute in (60, 6):
        for _ in range(20):
            clock.now_s += 60
            finish(progress, per_minute)
            pace.per_minute(progress.finished)
    rate = pace.per_minute(progress.finished)
    assert rate is not None
    assert 6 <= rate < 8
    left_s = pace.left_s(progress)
    assert left_s is not None
    assert left_s > 60 * 60 * 15


def test_a_slow_run_keeps_a_pace() -> None:
    clock, pace, progress = watched(100)
    for _ in range(40):
        clock.now_s += 400
        finish(progress, 1)
        pace.per_minute(progress.finished)
    assert pace.per_minute(progress.finished) == 60 / 400


def test_a_stopped_or_ended_run_has_no_time_left() -> None:
    clock, pace, progress = watched(100)
    finish(progress, 1)
    pace.per_minute(1)
    clock.now_s += 60
    finish(progress, 6)
    assert summary(progress, pace)["pace"] == "6.0 tasks/min, 15m 30s left"
    pace.stop()
    assert summary(progress, pace)["pace"] == "6.0 tasks/min"
    other, progress_now = Pace(clock=clock), Progress()
    progress_now.apply(examples.goal(7))
    finish(progress_now, 1)
    other.per_minute(1)
    clock.now_s += 60
    finish(progress_now, 6)
    progress_now.apply(RunEnded.target_reached(RUN, 7))
    assert summary(progress_now, other)["pace"] == "6.0 tasks/min"
