"""Seed tasks that are too long are refused before anything is written."""

import json

import pytest

from service.dataset.seed_sizes import check_fits_pool, check_prompts_fit
from service.dataset.seeds import parse_seeds
from service.errors import SeedTaskError
from service.messaging.record_size import MAX_RECORD_BYTES
from service.selfinstruct.recipe import Form, RecipeName, recipe_for
from service.selfinstruct.tasks import Instance, SeedTask
from tests.support import examples

LONG = MAX_RECORD_BYTES // 2


def seed(name: str, instruction: str = "Name a river.", output: str = "Rhine") -> SeedTask:
    return SeedTask(name, "", instruction, (Instance("", output),), is_classification=False)


@pytest.mark.parametrize(
    "too_long",
    [
        seed("long", instruction="x" * LONG),
        seed("long", output="x" * MAX_RECORD_BYTES),
        seed("long", "\1" * (LONG // 6)),
    ],
)
def test_a_seed_that_does_not_fit_the_pool_is_refused(too_long: SeedTask) -> None:
    with pytest.raises(SeedTaskError, match=f"my.jsonl, line 3: expected .* {MAX_RECORD_BYTES} bytes .*'long' takes"):
        check_fits_pool(too_long, "my.jsonl, line 3")


def test_a_seed_that_nearly_fills_a_record_is_taken() -> None:
    line = {
        "id": "a",
        "instruction": "Sum up.",
        "instances": [{"input": "", "output": "x" * (MAX_RECORD_BYTES - 4_000)}],
    }
    assert len(parse_seeds(json.dumps(line), "my.jsonl")) == 1
    line["instruction"] = "x" * 4_000
    with pytest.raises(SeedTaskError, match="line 1"):
        parse_seeds(json.dumps(line), "my.jsonl")


def test_a_prompt_with_the_longest_seeds_must_fit() -> None:
    recipe = recipe_for(RecipeName.SELF_INSTRUCT, Form.TEXT, chat_model=False)
    short = [seed(f"s{number}") for number in range(20)]
    long = [seed(f"l{number}", instruction="x" * 150_000) for number in range(7)]
    check_prompts_fit(recipe, examples.TEMPLATES, [*short, *long[:6]])
    with pytest.raises(SeedTaskError, match=r"8 longest seed tasks takes .*'l0'"):
        check_prompts_fit(recipe, examples.TEMPLATES, [*short, *long])


def test_outputs_that_a_prompt_does_not_show_may_be_long() -> None:
    recipe = recipe_for(RecipeName.SELF_INSTRUCT, Form.TEXT, chat_model=False)
    check_prompts_fit(recipe, examples.TEMPLATES, [seed(f"s{number}", output="x" * 900_000) for number in range(8)])
    alpaca = recipe_for(RecipeName.ALPACA, Form.TEXT, chat_model=False)
    with pytest.raises(SeedTaskError, match="3 longest"):
        check_prompts_fit(alpaca, examples.TEMPLATES, [seed(f"s{number}", output="x" * 900_000) for number in range(8)])
