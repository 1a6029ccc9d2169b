"""The pool that prompts are drawn from gives back what was put in, from a checkpoint as well."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers import sampling_pool
from producers.sampling_pool import Demonstration, SamplingPool
from service.checkpoints import file
from tests.support import examples

_TEXT = st.text(st.characters(exclude_categories=()))
_TASKS = st.lists(st.tuples(_TEXT, st.one_of(_TEXT, st.just("p12.3")), st.integers(1, 2**40)))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_pool, "_CHUNK", 3)


def machine_tasks_of(pool: SamplingPool) -> list[Demonstration]:
    return [pool.machine[place] for place in range(len(pool.machine))]


@given(_TASKS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_machine_tasks_come_back_whole(tasks: list[tuple[str, str, int]]) -> None:
    pool = SamplingPool()
    for text, name, depth in tasks:
        pool.machine.append(name, text, depth)
    assert machine_tasks_of(pool) == [Demonstration(name, text, depth) for text, name, depth in tasks]


def test_human_tasks_bring_their_seed() -> None:
    pool = SamplingPool()
    for number in range(4):
        pool.apply(examples.pooled_seed(number, is_classification=number % 2 == 1))
    pool.apply(examples.pooled(4))
    assert [shown.id for shown in pool.human] == [examples.pooled_seed(number).id for number in range(4)]
    assert [shown.id for shown in pool.classification] == [examples.pooled_seed(number).id for number in (1, 3)]
    assert all(shown.seed is not None for shown in pool.human)
    assert len(pool.machine) == 1


@pytest.mark.parametrize("count", range(8))
def test_a_pool_goes_on_from_a_checkpoint_as_it_was(count: int, tmp_path: Path) -> None:
    pool, restored = SamplingPool(), SamplingPool()
    pool.apply(examples.pooled_seed(0, is_classification=True))
    for number in range(count):
        pool.machine.append(f"p{number}.1" if number % 2 else f"other {number}", f"text {number} é", number)
    state = pool.snapshot()
    expected = machine_tasks_of(pool)
    pool.machine.append("p100.0", "later", 1)
    file.write(tmp_path / "pool", {}, state)
    restored.restore(file.read(tmp_path / "pool")[1])
    assert (machine_tasks_of(restored), restored.human) == (expected, pool.human)
    assert restored.classification == pool.classification
    restored.machine.append("p100.0", "later", 1)
    assert machine_tasks_of(restored) == machine_tasks_of(pool)
