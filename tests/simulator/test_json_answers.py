"""Requests for JSON get JSON of their schema: for every step of both recipes, and every way to request it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from service.dataset.templates import load_templates
from service.selfinstruct.asking import ask_for_instances, ask_for_tasks, ask_whether_classification
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Form, RecipeName, recipe_for
from service.selfinstruct.tasks import Instance
from service.simulator import SimulatorOptions
from service.simulator.text.generator import Reply, write_reply
from service.simulator.text.json_answers import wanted_stage
from service.simulator.text.prompt_parser import Stage
from tests.simulator import prompts
from tests.simulator.client import connected

CLEAN = SimulatorOptions(
    seed=3, near_duplicate_rate=0, blocked_word_rate=0, too_short_rate=0, truncation_rate=0, unusable_rate=0
)
LABELLED = "Decide whether the review of a phone is positive, negative or neutral."
JSON, ALPACA = (recipe_for(name, Form.JSON, chat_model=True) for name in RecipeName)
OURS = load_templates(None, Form.JSON)
SHOWN = [(text, Instance("", "An answer.")) for text in prompts.SHOWN]
ASKED = {
    "instructions": ask_for_tasks(JSON, OURS, SHOWN),
    "instructions with labels": ask_for_tasks(JSON, OURS, SHOWN, only_classification=True),
    "verdict": ask_whether_classification(JSON, OURS, LABELLED),
    "instances": ask_for_instances(JSON, OURS, prompts.SHOWN[0], is_classification=False),
    "labels": ask_for_instances(JSON, OURS, LABELLED, is_classification=True),
    "alpaca": ask_for_tasks(ALPACA, OURS, SHOWN[:3]),
}


def strictly(asked: ModelInput) -> dict[str, Any]:
    assert asked.schema is not None
    schema = {"name": asked.schema.name, "schema": asked.schema.value, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def in_two_messages(asked: ModelInput) -> dict[str, Any]:
    said = [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.text}]
    return {"messages": said, "max_tokens": 3_000}


def in_one_text(asked: ModelInput) -> dict[str, Any]:
    return {"prompt": asked.as_text, "max_tokens": 3_000}


def beside_the_prompt(asked: ModelInput) -> dict[str, Any]:
    assert asked.schema is not None
    return {"json_schema": asked.schema.value}


def answer(name: str, options: SimulatorOptions = CLEAN, text: str | None = None) -> Reply:
    asked = ASKED[name] if text is None else replace(ASKED[name], text=text)
    return write_reply(options, asked.text, wanted_stage(in_two_messages(asked) | strictly(asked)))


def value_of(name: str, options: SimulatorOptions = CLEAN, text: str | None = None) -> Any:
    return next(iter(json.loads(answer(name, options, text).text).values()))


@pytest.mark.anyio
@pytest.mark.parametrize("name", ASKED)
async def test_every_way_to_request_json_gives_json_of_the_schema(name: str) -> None:
    asked = ASKED[name]
    chat, completion = in_two_messages(asked), in_one_text(asked)
    ways = [
        ("/chat/completions", chat | strictly(asked)),
        ("/chat/completions", chat | {"response_format": {"type": "json_object"}}),
        ("/chat/completions", chat),
        ("/completions", completion | strictly(asked)),
        ("/completions", completion | beside_the_prompt(asked)),
        ("/completions", completion),
    ]
    async with connected(CLEAN) as client:
        answers = [await client.post(path, body) for path, body in ways]
    assert [each.choice["finish_reason"] for each in answers] == ["stop"] * len(ways)
    texts = [each.choice["message"]["content"] if "message" in each.choice else each.choice["text"] for each in answers]
    assert asked.schema is not None
    assert [text for text in texts if not asked.schema.fits(text)] == []


def test_the_schema_decides_the_step_and_not_the_prompt() -> None:
    asked = replace(ASKED["verdict"], text="Write a sentence about a river.", system='{"tasks": [')
    for body in (in_two_messages(asked) | strictly(asked), in_one_text(asked) | beside_the_prompt(asked)):
        stage = wanted_stage(body)
        assert stage is Stage.CLASSIFICATION
        assert asked.schema is not None
        assert asked.schema.fits(write_reply(CLEAN, asked.text, stage).text)


@pytest.mark.parametrize("body", [{}, {"messages": "x"}, {"prompt": 7}, {"prompt": "a", "response_format": "json"}])
def test_requests_without_json_are_answered_in_text(body: dict[str, Any]) -> None:
    assert wanted_stage(body) is None
    assert wanted_stage(body | {"prompt": prompts.instructions()}) is None


@pytest.mark.parametrize(("name", "least", "most"), [("instructions", 2, 3), ("alpaca", 5, 6)])
def test_the_options_decide_the_number_of_tasks(name: str, least: int, most: int) -> None:
    options = replace(CLEAN, tasks_per_reply=(2, 3), alpaca_tasks_per_reply=(5, 6))
    counts = {len(value_of(name, replace(options, seed=seed))) for seed in range(20)}
    assert counts == {least, most}


def test_labels_are_taken_from_the_instruction() -> None:
    pairs = value_of("labels")
    assert [pair["output"] for pair in pairs] == ["Positive", "Negative", "Neutral"]
    assert all([*pair] == ["output", "input"] and pair["input"] for pair in pairs)


def test_a_verdict_is_the_same_in_json_as_in_text() -> None:
    verdicts = set()
    for instruction in (*prompts.SHOWN, LABELLED, "Is the following message spam?"):
        text = ASKED["verdict"].text.replace(LABELLED, instruction)
        said = write_reply(CLEAN, prompts.classification(instruction)).text
        verdicts.add((said, value_of("verdict", CLEAN, text)))
    assert verdicts == {(" Yes", True), (" No", False)}


@pytest.mark.parametrize("name", ["instructions", "alpaca"])
def test_near_duplicates_are_variations_of_the_tasks_in_the_list(name: str) -> None:
    written = value_of(name, replace(CLEAN, near_duplicate_rate=1))
    texts = [each if isinstance(each, str) else each["instruction"] for each in written]
    shown = [text.split() for text in prompts.SHOWN]
    for words in map(str.split, texts):
        alike = [sum(a != b for a, b in zip(words, each, strict=True)) for each in shown if len(each) == len(words)]
        assert min(alike) <= 1


def test_an_unusable_answer_has_no_instances() -> None:
    assert value_of("instances", replace(CLEAN, unusable_rate=1)) == []
    assert value_of("labels", replace(CLEAN, unusable_rate=1)) == []


@pytest.mark.parametrize("name", ASKED)
def test_a_cut_answer_is_the_beginning_of_a_whole_one(name: str) -> None:
    cut, whole = answer(name, replace(CLEAN, truncation_rate=1)), answer(name)
    assert (cut.truncated, whole.truncated) == (name != "verdict", False)
    assert whole.text.startswith(cut.text)
    assert (cut.text == whole.text) is (name == "verdict")


def test_an_answer_depends_on_seed_and_prompt_alone() -> None:
    assert answer("alpaca") == answer("alpaca")
    assert answer("alpaca", replace(CLEAN, seed=4)) != answer("alpaca")
    assert answer("alpaca", CLEAN, "Other.") != answer("alpaca")
