import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from consumers.finish import Finish
from service.messaging.messages import Ending, FinishedTask, RunEnded, TaskInstances
from service.run.progress import Progress
from service.selfinstruct.tasks import InstanceReason
from tests.support import examples
from tests.support.logs import RUN

pytestmark = pytest.mark.anyio


def tasks(*names: str) -> list[TaskInstances]:
    return [examples.task_instances(name) for name in names]


async def take(finish: Finish, batch: list[TaskInstances]) -> tuple[list[str], int]:
    """Finish a batch, restore its results, and return the finished ids and the number of messages read."""
    outcome = await finish(batch)
    for _, message in outcome.results:
        finish.restore(message)
    return [message.id for _, message in outcome.results if isinstance(message, FinishedTask)], outcome.consumed


async def test_finished_tasks_are_numbered_densely_with_instances() -> None:
    finish = Finish(RUN, lambda: 10)
    outcome = await finish(tasks("a", "b"))
    finished = [message for _, message in outcome.results]
    assert all(isinstance(message, FinishedTask) for message in finished)
    first, second = finished
    assert isinstance(first, FinishedTask)
    assert isinstance(second, FinishedTask)
    assert (first.task_seq, second.task_seq) == (0, 1)
    (source,) = tasks("a")
    for name in ("id", "instruction", "instances", "pool_seq", "provenance", "is_classification"):
        assert getattr(first, name) == getattr(source, name)


async def test_a_task_names_the_model_of_its_instances_if_another() -> None:
    (same,) = tasks("a")
    other = structs.replace(same, id="b", call=structs.replace(examples.CALL, model="large"))
    without_call = structs.replace(same, id="c", call=None)
    outcome = await Finish(RUN, lambda: 10)([same, other, without_call])
    rows = [orjson.loads(message.to_json()) for _, message in outcome.results]
    assert [row.get("instances_model", "left out") for row in rows] == ["left out", "large", "left out"]
    assert rows[1]["provenance"]["model"] == examples.CALL.model


async def test_it_stops_at_the_target_mid_batch_and_says_so_once() -> None:
    finish = Finish(RUN, lambda: 2)
    outcome = await finish(tasks("a", "b", "c"))
    assert outcome.consumed == 2
    assert [place for place, _ in outcome.results] == [0, 1, 1]
    _, ended = outcome.results[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.run, ended.ending, ended.target, ended.finished) == (RUN, Ending.TARGET_REACHED, 2, 2)


async def test_it_wants_more_until_the_target_and_after_a_raise() -> None:
    target = 1
    finish = Finish(RUN, lambda: target)
    assert finish.wants_more()
    assert await take(finish, tasks("a", "b")) == (["a"], 1)
    assert not finish.wants_more()
    target = 3
    assert finish.wants_more()
    assert await take(finish, tasks("b", "c", "d")) == (["b", "c"], 2)


async def test_an_instruction_is_finished_once_however_often_it_comes() -> None:
    finish = Finish(RUN, lambda: 10)
    assert await take(finish, tasks("a", "b", "a")) == (["a", "b"], 3)
    assert await take(finish, tasks("b", "c")) == (["c"], 2)


async def test_what_has_no_usable_instances_is_dropped() -> None:
    finish = Finish(RUN, lambda: 10)
    dropped = examples.task_instances("a", InstanceReason.NONE_PARSED)
    assert await take(finish, [dropped, *tasks("b")]) == (["b"], 2)


@given(seed=st.integers(0, 2**32), target=st.integers(1, 12))
async def test_exactly_the_target_is_finished_from_any_batches(seed: int, target: int) -> None:
    rng = random.Random(seed)
    stream = tasks(*(rng.choice("abcdefghij") for _ in range(40)))
    finish, done, place = Finish(RUN, lambda: target), [], 0
    while finish.wants_more() and place < len(stream):
        names, consumed = await take(finish, stream[place : place + rng.randrange(1, 7)])
        done += names
        place += consumed
    distinct = list(dict.fromkeys(message.id for message in stream))
    assert done == distinct[:target]
    if len(distinct) >= target:
        assert stream[place - 1].id == done[-1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8))
async def test_finished_and_dropped_add_up_to_what_was_accepted(outcomes: list[tuple[str, bool]]) -> None:
    """Delivery is at least once: a message may come again, with another answer of the model."""
    progress, finish = Progress(), Finish(RUN, lambda: 10)
    progress.apply(examples.decision(0, accepted=3))
    for name, usable in outcomes:
        message = examples.task_instances(name, None if usable else InstanceReason.NONE_PARSED)
        progress.apply(message)
        for _, result in (await finish([message])).results:
            finish.restore(result)
            progress.apply(result)
    assert progress.pending == 3 - len({name for name, _ in outcomes})


async def test_a_call_for_a_finished_task_is_counted_as_repeated() -> None:
    finish = Finish(RUN, lambda: 10)
    finish.restore(examples.finished(0))
    known, fresh = examples.task_instances("m0"), examples.task_instances("m1")
    assert (await finish([known, fresh, fresh])).repeated == 2
