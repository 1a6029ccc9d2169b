import random
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT
from service.selfinstruct.sampling import sample_demonstrations


class CountedSequence(Sequence[int]):
    """A pool that is too large to iterate over, and counts its reads."""

    def __init__(self, size: int) -> None:
        self._items = range(size)
        self.reads = 0

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...

    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        self.reads += 1
        return self._items[index]


@settings(deadline=None)
@given(human=st.integers(8, 200), machine=st.integers(0, 200), seed=st.integers())
def test_a_prompt_shows_eight_tasks_up_to_two_from_the_machine(human: int, machine: int, seed: int) -> None:
    shown = sample_demonstrations(
        SELF_INSTRUCT, [f"h{n}" for n in range(human)], [f"m{n}" for n in range(machine)], random.Random(seed)
    )
    assert len(shown) == len(set(shown)) == 8
    assert sum(task.startswith("m") for task in shown) == min(2, machine)


def test_alpaca_shows_three_human_tasks_of_any_pool() -> None:
    shown = sample_demonstrations(ALPACA, ["a", "b", "c"], ["m"] * 50, random.Random(1))
    assert sorted(shown) == ["a", "b", "c"]


def test_machine_tasks_stand_anywhere_in_the_prompt() -> None:
    rng = random.Random(0)
    places = {
        sample_demonstrations(SELF_INSTRUCT, [f"h{n}" for n in range(9)], ["m"], rng).index("m") for _ in range(200)
    }
    assert places == set(range(8))


def test_one_seed_gives_one_sample() -> None:
    human, machine = list(range(100)), list(range(100, 200))
    first, second = (sample_demonstrations(SELF_INSTRUCT, human, machine, random.Random(7)) for _ in range(2))
    assert first == second


def test_sampling_reads_no_more_of_the_pool_than_it_draws() -> None:
    human, machine = CountedSequence(10**9), CountedSequence(10**9)
    sample_demonstrations(SELF_INSTRUCT, human, machine, random.Random(3))
    assert (human.reads, machine.reads) == (6, 2)


def test_the_error_for_too_few_human_tasks_says_the_minimum() -> None:
    with pytest.raises(ValueError, match=r"needs 8 human tasks beside 0 of the machine's, and there are 7"):
        sample_demonstrations(SELF_INSTRUCT, list(range(7)), [], random.Random(0))


def test_a_recipe_without_machine_tasks_needs_only_human_tasks() -> None:
    recipe = replace(SELF_INSTRUCT, human_demonstrations=2, machine_demonstrations=0)
    assert sorted(sample_demonstrations(recipe, [1, 2], [3], random.Random(0))) == [1, 2]
