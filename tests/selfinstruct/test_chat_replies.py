"""Replies of chat models in all known shapes: the parsers return the meant tasks, or none."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.instances import parse_instances, select_instances
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import Form, Recipe, RecipeName, recipe_for
from service.selfinstruct.tasks import Candidate, Instance, InstanceReason, Reason
from tests.fakes.chat.block_shapes import BLOCK_SHAPES, BROKEN_AT
from tests.fakes.chat.instance_shapes import INSTANCE_SHAPES
from tests.fakes.chat.json_shapes import JSON_SHAPES, cut
from tests.fakes.chat.label_shapes import LABEL_SHAPES
from tests.fakes.chat.list_shapes import LIST_SHAPES
from tests.fakes.chat.remarks import REFUSALS, remark
from tests.fakes.chat.shapes import Shape, of_kind
from tests.fakes.chat.tasks import (
    Pair,
    Task,
    write_instruction,
    write_label_pairs,
    write_pair_without_input,
    write_pairs,
    write_task,
)
from tests.fakes.chat.truth import comparable, comparable_pair

TEXT = recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True)
JSON = recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True)
ALPACA_TEXT = recipe_for(RecipeName.ALPACA, chat_model=True)
ALPACA_JSON = recipe_for(RecipeName.ALPACA, Form.JSON, chat_model=True)
SEEDS = st.integers(0, 10**9)

any_list = pytest.mark.parametrize("shape", LIST_SHAPES, ids=lambda shape: shape.name)
any_blocks = pytest.mark.parametrize("shape", BLOCK_SHAPES, ids=lambda shape: shape.name)
any_instances = pytest.mark.parametrize("shape", INSTANCE_SHAPES, ids=lambda shape: shape.name)
any_labels = pytest.mark.parametrize("shape", LABEL_SHAPES, ids=lambda shape: shape.name)
any_json = pytest.mark.parametrize("shape", JSON_SHAPES, ids=lambda shape: shape.name)
often = settings(deadline=None, max_examples=15)


def several(rng: Random, write: Callable[[Random], str], least: int = 2, most: int = 7) -> list[str]:
    """Return different texts."""
    texts: dict[str, None] = {}
    while len(texts) < rng.randint(least, most):
        texts[write(rng)] = None
    return list(texts)


def tasks_of(rng: Random) -> list[Task]:
    written = [write_task(rng) for _ in range(rng.randint(2, 6))]
    return list({task.instruction: task for task in written}.values())


def kept(candidates: Sequence[Candidate]) -> list[str]:
    """Return the instructions that the parser does not reject, in a comparable form."""
    return [comparable(each.instruction) for each in candidates if each.rejection is None]


def kept_tasks(candidates: Sequence[Candidate]) -> list[tuple[str, tuple[str, str]]]:
    """Return the whole tasks that the parser does not reject, and whose output is not empty."""
    return [
        (comparable(each.instruction), comparable_pair(each.instance.input, each.instance.output))
        for each in candidates
        if each.rejection is None and each.instance is not None and each.instance.output
    ]


def meant(tasks: Sequence[Task]) -> list[tuple[str, tuple[str, str]]]:
    return [(comparable(task.instruction), comparable_pair(task.input, task.output)) for task in tasks]


def pairs_in(instances: Sequence[Instance]) -> list[tuple[str, str]]:
    return [comparable_pair(each.input, each.output) for each in instances]


def is_subsequence(some: Sequence[object], whole: Sequence[object]) -> bool:
    rest = iter(whole)
    return all(each in rest for each in some)


@any_list
@pytest.mark.parametrize("recipe", [TEXT, JSON], ids=["text", "json"])
@often
@given(seed=SEEDS)
def test_a_list_is_read_or_refused(recipe: Recipe, shape: Shape, seed: int) -> None:
    rng = Random(seed)
    instructions = several(rng, write_instruction)
    first = 9 if recipe.form is Form.TEXT else rng.choice([1, 9])
    candidates = parse_instructions(recipe, shape.write(rng, instructions, first), truncated=False)
    expected = [comparable(each) for each in instructions]
    if shape.readable:
        assert kept(candidates) == expected
    else:
        assert is_subsequence(kept(candidates), expected)


@any_list
@often
@given(seed=SEEDS)
def test_a_cut_list_loses_only_its_last_item(shape: Shape, seed: int) -> None:
    rng = Random(seed)
    instructions = several(rng, write_instruction)
    candidates = parse_instructions(TEXT, cut(rng, shape.write(rng, instructions, 9)), truncated=True)
    assert candidates[-1].rejection is Reason.TRUNCATED
    assert is_subsequence(kept(candidates), [comparable(each) for each in instructions])


@any_blocks
@pytest.mark.parametrize("recipe", [ALPACA_TEXT, ALPACA_JSON], ids=["text", "json"])
@often
@given(seed=SEEDS)
def test_blocks_are_read_or_refused(recipe: Recipe, shape: Shape, seed: int) -> None:
    rng = Random(seed)
    tasks = tasks_of(rng)
    candidates = parse_instructions(recipe, shape.write(rng, tasks, 4), truncated=False)
    if shape.kind == "broken":
        assert kept_tasks(candidates) == meant([task for place, task in enumerate(tasks) if place != BROKEN_AT])
    elif shape.readable:
        assert kept_tasks(candidates) == meant(tasks)
    else:
        assert is_subsequence(kept_tasks(candidates), meant(tasks))


@any_instances
@pytest.mark.parametrize("recipe", [TEXT, JSON], ids=["text", "json"])
@often
@given(seed=SEEDS)
def test_instances_are_read_as_they_were_meant(recipe: Recipe, shape: Shape, seed: int) -> None:
    rng = Random(seed)
    pairs = (write_pair_without_input(rng),) if shape.kind == "direct" else write_pairs(rng)
    reply = shape.write(rng, pairs)
    instances = parse_instances(recipe, reply, is_classification=False, truncated=False)
    assert pairs_in(instances) == [comparable_pair(pair.input, pair.output) for pair in pairs]


@any_labels
@pytest.mark.parametrize("recipe", [TEXT, JSON], ids=["text", "json"])
@often
@given(seed=SEEDS)
def test_labels_are_read_with_their_inputs(recipe: Recipe, shape: Shape, seed: int) -> None:
    rng = Random(seed)
    pairs = write_label_pairs(rng)
    instances = parse_instances(recipe, shape.write(rng, pairs), is_classification=True, truncated=False)
    assert [each.output for each in instances] == [pair.output for pair in pairs]
    for instance, pair in zip(instances, pairs, strict=True):
        given_, field = comparable_pair(instance.input, "")[0], comparable_pair(pair.input, "")[0]
        assert given_ in {field, field.partition(": ")[2]}


def as_objects(pairs: Sequence[Pair]) -> dict[str, object]:
    return {"instances": [asdict(pair) for pair in pairs]}


@any_json
@often
@given(seed=SEEDS)
def test_json_is_read_with_any_text_around_it(shape: Shape, seed: int) -> None:
    rng = Random(seed)
    instructions, tasks, pairs = several(rng, write_instruction), tasks_of(rng), write_pairs(rng)
    listed = parse_instructions(JSON, shape.write(rng, {"instructions": instructions}), truncated=False)
    assert kept(listed) == [comparable(each) for each in instructions]
    whole = shape.write(rng, {"tasks": [asdict(task) for task in tasks]})
    assert kept_tasks(parse_instructions(ALPACA_JSON, whole, truncated=False)) == meant(tasks)
    reply = shape.write(rng, as_objects(pairs))
    instances = parse_instances(JSON, reply, is_classification=False, truncated=False)
    assert pairs_in(instances) == [comparable_pair(pair.input, pair.output) for pair in pairs]


@any_json
@often
@given(seed=SEEDS)
def test_complete_items_of_cut_json_are_read(shape: Shape, seed: int) -> None:
    rng = Random(seed)
    instructions, tasks, pairs = several(rng, write_instruction), tasks_of(rng), write_pairs(rng)
    listed = parse_instructions(JSON, cut(rng, shape.write(rng, {"instructions": instructions})), truncated=True)
    assert is_subsequence(kept(listed), [comparable(each) for each in instructions])
    whole = cut(rng, shape.write(rng, {"tasks": [asdict(task) for task in tasks]}))
    assert is_subsequence(kept_tasks(parse_instructions(ALPACA_JSON, whole, truncated=True)), meant(tasks))
    reply = cut(rng, shape.write(rng, as_objects(pairs)))
    instances = parse_instances(JSON, reply, is_classification=False, truncated=True)
    assert is_subsequence(pairs_in(instances), [comparable_pair(pair.input, pair.output) for pair in pairs])


@often
@given(seed=SEEDS)
def test_a_cut_string_is_dropped_and_earlier_items_are_kept(seed: int) -> None:
    rng = Random(seed)
    instructions = several(rng, write_instruction, 3)
    text = json.dumps({"instructions": instructions})
    end = text.rindex(json.dumps(instructions[-1]))
    candidates = parse_instructions(JSON, text[: end + rng.randint(1, len(instructions[-1]))], truncated=True)
    assert kept(candidates) == [comparable(each) for each in instructions[:-1]]
    assert candidates[-1].rejection is Reason.TRUNCATED


@pytest.mark.parametrize(
    "recipe", [TEXT, JSON, ALPACA_TEXT, ALPACA_JSON], ids=["text", "json", "alpaca", "alpaca json"]
)
@pytest.mark.parametrize("words", REFUSALS)
def test_a_refusal_is_no_task(recipe: Recipe, words: str) -> None:
    candidates = parse_instructions(recipe, words, truncated=False)
    assert [each.rejection for each in candidates] == [Reason.REFUSAL]


@pytest.mark.parametrize("words", REFUSALS)
@pytest.mark.parametrize("is_classification", [True, False])
def test_a_refusal_is_no_output(words: str, *, is_classification: bool) -> None:
    for recipe, reply in (
        (TEXT, words),
        (JSON, words),
        (TEXT, f"Class label: {words}" if is_classification else f"Output: {words}"),
        (JSON, json.dumps({"instances": [{"input": "", "output": words}]})),
    ):
        instances = parse_instances(recipe, reply, is_classification=is_classification, truncated=False)
        selected = select_instances(instances, 5, Random(0), chat_model=True)
        assert selected is InstanceReason.REFUSAL, reply


@often
@given(seed=SEEDS)
def test_a_whole_task_whose_output_is_a_refusal_is_refused(seed: int) -> None:
    rng = Random(seed)
    first, *rest = tasks_of(rng)
    spoiled = Task(first.instruction, first.input, remark(rng, REFUSALS))
    (paper,) = of_kind(BLOCK_SHAPES, "paper")
    candidates = parse_instructions(ALPACA_TEXT, paper.write(rng, [spoiled, *rest], 4), truncated=False)
    assert candidates[0].rejection is Reason.REFUSAL
    assert kept_tasks(candidates) == meant(rest)


@often
@given(seed=SEEDS)
def test_replies_in_the_papers_shapes_are_read_like_the_papers(seed: int) -> None:
    rng = Random(seed)
    paper, blocks = of_kind(LIST_SHAPES, "paper")[0], of_kind(BLOCK_SHAPES, "paper")[0]
    listed = paper.write(rng, several(rng, write_instruction), 9)
    own = recipe_for(RecipeName.SELF_INSTRUCT)
    assert parse_instructions(TEXT, listed, truncated=False) == parse_instructions(own, listed, truncated=False)
    tasks = blocks.write(rng, [task for task in tasks_of(rng) if "###" not in task.output], 4)
    own = recipe_for(RecipeName.ALPACA)
    assert kept_tasks(parse_instructions(ALPACA_TEXT, tasks, truncated=False)) == kept_tasks(
        parse_instructions(own, tasks, truncated=False)
    )


HOSTILE = (
    *("\n1. ", "9. ", "\n9. a", "- a\n", "**", "*a*", "__", "```\n", "Task 1:\n", "a: ", "(1) a:\n"),
    *("\n4. Instruction: ", "4. Input:\n", "Output: ", "\nInput: ", "Class label: ", "\nExample 1\n", "\n###\n"),
    *("{", "[", '{"a":', '["a",', '"', "\\", '\\"', "<think>", "</think>", "<|a|>", "<|channel|>", "</s>", "[INST]"),
    *("Sure! ", "I'm sorry, but ", "\n\nI hope ", "these ", "the user\n", "please ", "A sentence.\n\n", "a\n", " "),
)
SHORT, LONG = 250, 2_000
MOST_GROWTH = 4.0  # growth of the time for one repetition; quadratic time would give LONG / SHORT


def seconds_to_read(reply: str) -> float:
    """Return the least CPU seconds that all parsers together take for a reply."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        for recipe in (TEXT, JSON, ALPACA_TEXT, ALPACA_JSON):
            assert parse_instructions(recipe, reply, truncated=False)
        for is_classification in (True, False):
            instances = parse_instances(JSON, reply, is_classification=is_classification, truncated=True)
            select_instances(instances, 5, Random(0), chat_model=True)
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("begins", ["", "9. ", "4. Instruction: a\n4. Output: "])
@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_repetition_costs_linear_time(unit: str, begins: str) -> None:
    short, long = (seconds_to_read(begins + unit * times) for times in (SHORT, LONG))
    assert long < max(short, 0.002) * LONG / SHORT * MOST_GROWTH
