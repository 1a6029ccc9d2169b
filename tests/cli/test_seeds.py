"""`seeds add`: which tasks of a file are new to a run."""

from dataclasses import replace

import pytest

from service.cli.seed_adding import outcome
from service.errors import SeedTaskError
from service.pipeline.seed_adding import unknown_seeds
from tests.support import examples

_EXPORTED = replace(examples.seed_task(0), id="p0.0")
_OWN = replace(_EXPORTED, id="seed_p0.0")


def test_an_exported_task_is_no_generated_task_of_the_run() -> None:
    assert unknown_seeds([_EXPORTED], {"p0.0": None}) == [_OWN]
    assert unknown_seeds([_EXPORTED], {"p0.0": None, "seed_p0.0": _OWN}) == []


def test_a_seed_of_an_earlier_version_keeps_its_id() -> None:
    assert unknown_seeds([_EXPORTED], {"p0.0": _EXPORTED}) == []


def test_another_task_with_the_same_id_is_refused() -> None:
    with pytest.raises(SeedTaskError, match=r"'seed_p0\.0': the run has another task with this id"):
        unknown_seeds([_EXPORTED], {"seed_p0.0": replace(_OWN, instruction="Another.")})


def test_one_task_is_told_as_one() -> None:
    assert outcome(1, 0) == "1 seed task added, 0 were there already"
    assert outcome(2, 1) == "2 seed tasks added, 1 was there already"
