"""Each knob of a recipe file, one at a time: it changes what it is for, nothing else, and the digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from producers.prompts import write_prompt
from producers.sampling_pool import SamplingPool
from service.billing.reckoning import rates_by_length
from service.bootstrap.open_embedder import check_embedder
from service.dataset.recipe_files import KNOBS, RANGES, as_toml, read_recipe, values_of
from service.dataset.templates import read_templates
from service.errors import ConfigurationError
from service.lm.concurrency import Slot
from service.lm.port import Completion
from service.messaging.messages import Message, RunDefined
from service.pipeline.stages import calling_stages
from service.selfinstruct.judging import judge
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import SELF_INSTRUCT, Form, Language, Recipe, RecipeName, Sampling, recipe_for
from service.selfinstruct.recipe_changes import with_language
from service.selfinstruct.semantic import Meanings
from service.selfinstruct.similarity import SimilarityIndex
from service.selfinstruct.tasks import Candidate, Instance
from service.selfinstruct.vectors import VectorIndex
from tests.fakes.embedders import BagOfWords
from tests.fakes.models import completed
from tests.support import examples

FILES = {form: read_templates(None, form) for form in Form}
POOL = (
    "Write a poem about the sea",
    "Name one two three four five six seven",
    "Назови одну реку большой Европы сегодня",
)
REPLY = " Name THE river.\n10. Sort the user IDs."
CANDIDATES = (
    Candidate(0, "Name it now"),
    Candidate(1, "Name that river now"),
    Candidate(2, "word " * 151),
    Candidate(3, "Open the file, then close it"),
    Candidate(4, "Write a program that sorts rivers"),
    Candidate(5, "Écrire un poème sur les mers"),
    Candidate(6, "Name one two three four five six eight"),
    Candidate(7, "Dance with one river of Asia", Instance("", "")),
    Candidate(8, "Compose a verse on the ocean"),
    Candidate(9, "Name 写一首关于秋天的短诗"),
)
INSTANCES = "\n".join(f"Example {number}\nInput: {number}\nOutput: {number} is it" for number in range(1, 9))

PROMPTS, TOKENS, ANSWERS, VERDICTS, INSTANCE_COUNT, YIELD = (
    "prompts",
    "calls",
    "answers",
    "verdicts",
    "instances",
    "yield",
)


@dataclass(eq=False)
class Listening:
    """A model that answers every question alike, and remembers the parameters of its calls."""

    reply: str
    given: list[Sampling] = field(default_factory=list)

    async def complete(self, _: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        assert slot is None
        self.given.append(sampling)
        return completed(self.reply)


def definition_of(recipe: Recipe) -> RunDefined:
    templates = FILES[recipe.form].prepared(recipe)
    return structs.replace(examples.definition(12, recipe), templates=templates)


def prompts_of(recipe: Recipe) -> list[tuple[str, ...]]:
    pool = SamplingPool()
    for number in range(12):
        pool.apply(examples.pooled_seed(number, is_classification=number > 1))
    for number in range(12, 16):
        pool.apply(examples.pooled(number, f"Name machine river {number}"))
    written = [write_prompt(definition_of(recipe), pool, seq) for seq in range(3)]
    return [(prompt.text, prompt.system or "") for prompt in written]


async def calls_of(recipe: Recipe) -> tuple[list[Sampling], list[int]]:
    """Return the parameters of one call of each kind, and the numbers of instances."""
    model = Listening(INSTANCES)
    inputs: dict[str, list[Message]] = {
        "generate": [examples.prompt(0)],
        "classify": [examples.instruction("p0.0")],
        "instances": [examples.classified("p0.0", is_classification=answer) for answer in (False, True)],
    }
    written = []
    for stage in calling_stages(definition_of(recipe), lambda _: model):
        for message in inputs[stage.name]:
            (result,) = await stage(message)
            written.append(len(getattr(result, "instances", ())))
    return model.given, written


def verdicts_of(recipe: Recipe) -> list[object]:
    index = SimilarityIndex.of(recipe.filters)
    meanings = None
    if recipe.semantic is not None:
        meanings = Meanings(BagOfWords(), VectorIndex().overlay())
    for text in POOL:
        index.add(text)
        if meanings is not None:
            meanings.add(text)
    return [each.reason for each in judge(recipe, CANDIDATES, index, meanings)]


@cache
def observed(recipe: Recipe) -> Mapping[str, object]:
    """Return all that a recipe decides, by its kind."""
    calls, instances = anyio.run(calls_of, recipe)
    definition = definition_of(recipe)
    rates = rates_by_length(recipe, definition.templates, [examples.seed_task(0)], ModelInput("x"))
    return {
        PROMPTS: prompts_of(recipe),
        TOKENS: calls,
        ANSWERS: [each.instruction for each in parse_instructions(recipe, REPLY, truncated=False)],
        VERDICTS: verdicts_of(recipe),
        INSTANCE_COUNT: instances,
        YIELD: rates.accepted_per_prompt,
    }


SAMPLING: dict[str, Any] = {
    "temperature": 0.31,
    "top_p": 0.31,
    "max_tokens": 77,
    "stop": ["STOP"],
    "presence_penalty": 0.31,
    "frequency_penalty": 0.31,
    "ban_end_of_text": True,
}
# Another value of each knob, and what it changes.
CHANGES: dict[str, tuple[Any, set[str]]] = {
    "human_demonstrations": (5, {PROMPTS, TOKENS}),
    "machine_demonstrations": (3, {PROMPTS, TOKENS}),
    "classification_prompts": (1.0, {PROMPTS}),
    "capitalize": (False, {ANSWERS}),
    "max_instances": (3, {INSTANCE_COUNT, TOKENS}),
    "tasks_per_reply": (12, {TOKENS, YIELD}),
    "filters.min_words": (3, {VERDICTS}),
    "filters.max_words": (151, {VERDICTS}),
    "filters.blocked_words": ([], {VERDICTS}),
    "filters.blocked_openings": ([], {VERDICTS}),
    "filters.rouge_threshold": (0.9, {VERDICTS}),
    "filters.allow_empty_output": (True, {VERDICTS}),
    "filters.language": ("any", {VERDICTS, ANSWERS, PROMPTS}),
    "filters.allow_non_ascii": (True, {VERDICTS}),
    "semantic.threshold": (0.5, {VERDICTS}),
    **{
        f"{table}.{name}": (value, {TOKENS})
        for table in (
            "instruction_sampling",
            "classification_sampling",
            "generation_instances_sampling",
            "classification_instances_sampling",
        )
        for name, value in SAMPLING.items()
    },
}
# Refused before any call where it is not installed: no value has an effect.
WITHOUT_EFFECT = {"semantic.model"}


def toml_of(knobs: Mapping[str, Any]) -> str:
    tables: dict[str, list[str]] = {"": ['extends = "self-instruct"']}
    for name, value in knobs.items():
        table, _, knob = name.rpartition(".")
        tables.setdefault(table, []).append(f"{knob} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(line for table, own in tables.items() for line in ([f"[{table}]"] if table else []) + own)


def recipe_of(path: Path, toml: str) -> Recipe:
    path.write_text(toml, "utf-8")
    return read_recipe(path).applied_to(SELF_INSTRUCT)


def test_every_knob_is_tried() -> None:
    assert CHANGES.keys() | WITHOUT_EFFECT == KNOBS.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_knob_changes_what_it_is_for_alone(name: str, tmp_path: Path) -> None:
    value, kinds = CHANGES[name]
    recipe = recipe_of(tmp_path / "own.toml", toml_of({name: value}))
    before, after = observed(SELF_INSTRUCT), observed(recipe)
    assert {kind for kind in before if before[kind] != after[kind]} == kinds
    assert recipe.digest != SELF_INSTRUCT.digest


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        (RecipeName.SELF_INSTRUCT, Form.JSON, "Write 12 new tasks for it."),
        (RecipeName.ALPACA, Form.JSON, "Write 12 more tasks, so that the set has 15."),
        (RecipeName.ALPACA, Form.TEXT, "The list of 15 tasks follows"),
    ],
)
def test_the_number_of_tasks_is_in_the_prompt(name: RecipeName, form: Form, said: str) -> None:
    recipe = replace(recipe_for(name, form), tasks_per_reply=12)
    assert all(said in text for text, _ in prompts_of(recipe))


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("name", RecipeName)
def test_prompts_ask_for_the_language_of_the_tasks(name: RecipeName, form: Form) -> None:
    english = recipe_for(name, form)
    for recipe, asked in ((english, False), (with_language(english, Language.ANY), True)):
        for text, system in prompts_of(recipe):
            assert ("in the language of" in text + system) is asked
            assert "{{" not in text + system


def test_another_model_of_meanings_is_refused(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path / "own.toml", toml_of({"semantic.model": "another"}))
    assert recipe.digest != SELF_INSTRUCT.digest
    with pytest.raises(ConfigurationError, match="the only model there is"):
        check_embedder(recipe)


def values_for(name: str) -> st.SearchStrategy[Any]:
    kind = KNOBS[name]
    if kind is bool:
        return st.booleans()
    if kind is Language:
        return st.sampled_from(["en", "any"])
    if kind in (int, float):
        least, most = RANGES[name.rpartition(".")[2]]
        greatest = least + 400 if most is None else most
        return st.integers(least, greatest) if kind is int else st.floats(least, greatest).map(lambda x: round(x, 2))
    texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z"]), min_size=1, max_size=9)
    return st.lists(texts, max_size=3) if kind == tuple[str, ...] else texts


@settings(deadline=None, max_examples=150)
@given(data=st.data(), name=st.sampled_from(sorted(KNOBS)))
def test_a_file_has_one_digest_and_another_value_another(
    data: st.DataObject, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "own.toml"
    value = data.draw(values_for(name))
    knobs = {"filters.max_words": 1_000, "filters.min_words": 1} if name.endswith("_words") else {}
    toml = toml_of(knobs | {name: value})
    recipe, again = recipe_of(path, toml), recipe_of(path, toml)
    assert recipe.digest == again.digest
    assert (recipe == SELF_INSTRUCT) == (recipe.digest == SELF_INSTRUCT.digest)
    assert values_of(recipe)[name] == (tuple(value) if isinstance(value, list) else value)
    assert recipe_of(path, as_toml(recipe)) == recipe


def test_a_file_without_knobs_is_the_published_recipe(tmp_path: Path) -> None:
    assert recipe_of(tmp_path / "own.toml", toml_of({})) == SELF_INSTRUCT
