"""Sampling of the tasks that a prompt shows: the 6 : 2 mix of human and machine demonstrations."""

import random
from typing import Protocol, TypeVar

from service.selfinstruct.recipe import Recipe

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Tasks(Protocol[T_co]):
    """Tasks by place: a list, or a store that makes each when it is asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> T_co: ...


def sample_demonstrations(recipe: Recipe, human: Tasks[T], machine: Tasks[T], rng: random.Random) -> list[T]:
    """Return the demonstrations of one prompt, shuffled and without repetition.

    Machine tasks fill their share as far as there are any, and human tasks the rest (paper, section 2.2, and
    `bootstrap_instructions.py`). Time and memory depend on the number drawn, not on the size of the pool.

    Raises:
        ValueError: there are fewer human tasks than one prompt shows.
    """
    from_machine = min(recipe.machine_demonstrations, len(machine))
    from_human = recipe.human_demonstrations + recipe.machine_demonstrations - from_machine
    if len(human) < from_human:
        raise ValueError(
            f"a prompt of recipe {recipe.name} needs {from_human} human tasks beside {from_machine} of the machine's, "
            f"and there are {len(human)}: add seed tasks or lower the number of demonstrations"
        )
    demonstrations = [*_draw(machine, from_machine, rng), *_draw(human, from_human, rng)]
    rng.shuffle(demonstrations)
    return demonstrations


def _draw(tasks: Tasks[T], count: int, rng: random.Random) -> list[T]:
    return [tasks[index] for index in rng.sample(range(len(tasks)), count)]
