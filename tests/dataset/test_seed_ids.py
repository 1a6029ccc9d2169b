"""Ids of seed tasks in a run: a file that was exported from another run has ids like those of generated tasks."""

import json
from pathlib import Path

import pytest

from service.dataset.seed_ids import is_own_id, own_id
from service.dataset.seed_warnings import seed_warnings
from service.dataset.seeds import load_seeds, seeds_digest
from service.run.definition import AskedRun
from service.settings import load_settings


@pytest.mark.parametrize("name", ["p0", "p17", "p0.0", "p17.3"])
def test_an_id_like_a_generated_one_gets_a_prefix(name: str) -> None:
    assert own_id(name) == f"seed_{name}"
    assert is_own_id(own_id(name))


@pytest.mark.parametrize("name", ["seed_task_0", "p", "p1.", "p1.2.3", "P1.2", "xp1.2", "seed_p1.2"])
def test_any_other_id_stays(name: str) -> None:
    assert own_id(name) == name


def test_a_new_run_gets_unambiguous_ids_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    tasks = [
        {"id": f"p0.{n}", "instruction": f"Describe the river number {n}.", "instances": [{"output": f"River {n}"}]}
        for n in range(9)
    ]
    file.write_text("\n".join(json.dumps(task) for task in tasks))
    definition, seeds = AskedRun(load_settings({"seeds": file, "run": "books"})).new
    assert [seed.id for seed in seeds] == [f"seed_p0.{n}" for n in range(9)]
    assert definition.seeds == seeds_digest(load_seeds(file))  # a run of an earlier version has the same
    told = "ids like those of generated tasks have the prefix `seed_` in the run: seed_p0.0, "
    assert [each for each in seed_warnings(definition.recipe, seeds) if each.startswith(told)]
