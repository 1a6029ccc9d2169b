from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.run.credits import affordable_prompts, survival, tasks_per_prompt
from service.run.progress import Progress
from tests.support import examples

COUNT = st.integers(0, 500)
CAP = st.none() | st.integers(1, 1_000)
WINDOW = st.integers(1, 64)


@st.composite
def progresses(draw: st.DrawFn, *, capped: bool = True) -> Progress:
    """Draw a state of a run: prompts decided or not, acceptances finished, dropped or neither."""
    prompts = draw(COUNT)
    decided = draw(st.integers(0, prompts))
    accepted = draw(st.integers(0, 8 * decided))
    done = draw(st.integers(0, accepted))
    progress = Progress(prompts=prompts, decided=decided, accepted=accepted, finished=draw(st.integers(0, done)))
    progress.dropped["none_parsed"] = done - progress.finished
    progress.goal = examples.goal(draw(st.integers(0, 2_000)), draw(CAP) if capped else None)
    return progress


@settings(max_examples=30)
@given(progresses(), WINDOW)
def test_there_are_never_more_undecided_prompts_than_the_window(progress: Progress, window: int) -> None:
    count = affordable_prompts(progress, window)
    assert count >= 0
    assert count == 0 or progress.outstanding + count <= window


@settings(max_examples=30)
@given(progresses(), WINDOW)
def test_there_are_never_more_prompts_than_allowed(progress: Progress, window: int) -> None:
    assert progress.goal is not None
    cap = progress.goal.max_prompts
    count = affordable_prompts(progress, window)
    assert cap is None or count == 0 or progress.prompts + count <= cap


@settings(max_examples=30)
@given(progresses(), WINDOW, st.integers(0, 5))
def test_nothing_is_issued_once_the_target_is_reached(progress: Progress, window: int, beyond: int) -> None:
    reached = replace(progress, goal=examples.goal(max(0, progress.finished - beyond)))
    assert reached.reached
    assert affordable_prompts(reached, window) == 0


@settings(max_examples=30)
@given(progresses(capped=False), WINDOW)
def test_an_idle_run_may_always_issue_one_prompt(progress: Progress, window: int) -> None:
    assume(not progress.reached)
    idle = replace(progress, prompts=progress.decided)
    idle.dropped["none_parsed"] += idle.pending
    assert (idle.outstanding, idle.pending) == (0, 0)
    assert affordable_prompts(idle, window) >= 1


@settings(max_examples=30)
@given(progresses(capped=False), WINDOW)
def test_a_larger_target_never_means_fewer_prompts(progress: Progress, window: int) -> None:
    more = replace(progress, goal=examples.goal(progress.target + 10))
    assert affordable_prompts(more, window) >= affordable_prompts(progress, window)


@settings(max_examples=30)
@given(progresses())
def test_rates_are_in_their_ranges(progress: Progress) -> None:
    assert 0 < survival(progress) <= 1
    assert tasks_per_prompt(progress) > 0


def test_before_a_goal_nothing_is_issued() -> None:
    assert affordable_prompts(Progress(), 8) == 0


def test_a_near_target_uses_only_a_part_of_the_window() -> None:
    seen = Progress(prompts=100, decided=100, accepted=400, finished=400)
    assert affordable_prompts(replace(seen, goal=examples.goal(10_000)), 16) == 16
    assert affordable_prompts(replace(seen, goal=examples.goal(407)), 16) == 2
    assert affordable_prompts(replace(seen, goal=examples.goal(407), accepted=407), 16) == 0


def test_the_survival_of_earlier_tasks_decides_the_prompts() -> None:
    seen = Progress(prompts=100, decided=100, accepted=400, finished=200)
    seen.dropped["none_parsed"] = 200
    assert survival(seen) == 201 / 401
    assert affordable_prompts(replace(seen, goal=examples.goal(207)), 16) == 4
