"""The pool that prompts are drawn from gives back what was put in."""

from hypothesis import given
from hypothesis import strategies as st

from producers.sampling_pool import Demonstration, SamplingPool
from tests.support import examples

_TEXT = st.text(st.characters(exclude_categories=()))
_TASKS = st.lists(st.tuples(_TEXT, st.one_of(_TEXT, st.just("p12.3")), st.integers(1, 2**40)))


@given(_TASKS)
def test_machine_tasks_come_back_whole(tasks: list[tuple[str, str, int]]) -> None:
    pool = SamplingPool()
    for text, name, depth in tasks:
        pool.machine.append(name, text, depth)
    found = [pool.machine[place] for place in range(len(pool.machine))]
    assert found == [Demonstration(name, text, depth) for text, name, depth in tasks]


def test_human_tasks_bring_their_seed_and_classification_is_apart() -> None:
    pool = SamplingPool()
    for number in range(4):
        pool.apply(examples.pooled_seed(number, is_classification=number % 2 == 1))
    pool.apply(examples.pooled(4))
    assert [shown.id for shown in pool.human] == [examples.pooled_seed(number).id for number in range(4)]
    assert [shown.id for shown in pool.classification] == [examples.pooled_seed(number).id for number in (1, 3)]
    assert all(shown.seed is not None for shown in pool.human)
    assert len(pool.machine) == 1
