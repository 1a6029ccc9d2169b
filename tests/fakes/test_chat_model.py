"""The scripted chat model: rates of its habits, steps, reproducibility, schemas, its server and its journal."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.fakes.chat.block_shapes import BLOCK_SHAPES
from tests.fakes.chat.habits import ORDINARY, Habit, always
from tests.fakes.chat.instance_shapes import INSTANCE_SHAPES
from tests.fakes.chat.journal import Journal, truth_of
from tests.fakes.chat.label_shapes import LABEL_SHAPES
from tests.fakes.chat.list_shapes import LIST_SHAPES
from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.outputs import headed
from tests.fakes.chat.server import serve
from tests.fakes.chat.shapes import of_kind
from tests.fakes.chat.steps import Form, Step, understood
from tests.fakes.chat.tasks import (
    Pair,
    asks_for_label,
)
from tests.fakes.chat.verdict_shapes import VERDICT_SHAPES
from tests.fakes.chat_requests import (
    BLOCKS,
    LABEL_TASK,
    LIST,
    OPEN_TASK,
    SHOWN,
    TEXTS,
    VERDICT,
    drawn,
    in_text,
    replies,
    words,
)

STRING = {"type": "string"}


def listed(**properties: object) -> dict[str, object]:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


PROPERTIES: dict[Step, dict[str, Any]] = {
    Step.INSTRUCTIONS: {"instructions": {"type": "array", "items": STRING}},
    Step.CLASSIFICATION: {"is_classification": {"type": "boolean"}},
    Step.INSTANCES: {"instances": listed(input=STRING, output=STRING)},
    Step.LABELS: {"instances": listed(output=STRING, input=STRING)},
    Step.TASKS: {"tasks": listed(instruction=STRING, input=STRING, output=STRING)},
}
EXAMPLES = {
    Step.INSTRUCTIONS: '{"instructions": ["a task"]}',
    Step.CLASSIFICATION: '{"is_classification": true}',
    Step.INSTANCES: '{"instances": [{"input": "a", "output": "b"}]}',
    Step.LABELS: '{"instances": [{"output": "b", "input": "a"}]}',
    Step.TASKS: '{"tasks": [{"instruction": "a", "input": "b", "output": "c"}]}',
}
HABITS = {
    **{str(step): habit for step, habit in ORDINARY.text.items()},
    "json": ORDINARY.json,
    "schema": ORDINARY.schema,
}


def in_words(step: Step) -> dict[str, Any]:
    system = f"You write tasks. Answer with a JSON object: {EXAMPLES[step]}"
    shown = "\n".join(f"{json.dumps(text)}," for text in SHOWN)
    user = f"{shown}\n\nTask: {OPEN_TASK}\nIs it classification?"
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}]}


def with_schema(step: Step) -> dict[str, Any]:
    schema = {"type": "object", "properties": PROPERTIES[step]}
    return {
        **in_words(step),
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    }


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_rates_sum_to_one(habit: Habit) -> None:
    assert sum(row.rate for row in habit) == pytest.approx(1)


@pytest.mark.parametrize("step", Step)
def test_every_readable_kind_has_a_rate(step: Step) -> None:
    table = {
        Step.INSTRUCTIONS: LIST_SHAPES,
        Step.TASKS: BLOCK_SHAPES,
        Step.CLASSIFICATION: VERDICT_SHAPES,
        Step.INSTANCES: INSTANCE_SHAPES,
        Step.LABELS: LABEL_SHAPES,
    }[step]
    rates = rates_of(ORDINARY.text[step])
    assert all(rates[shape.kind] > 0.0099 for shape in table if shape.readable)
    assert {shape.kind for shape in table} <= rates.keys()
    assert 0.25 < rates["paper"] <= 0.35


@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS)
def test_few_replies_are_refused_cut_or_unreadable(habit: Habit) -> None:
    assert sum(row.rate for row in habit if row.is_cut) == pytest.approx(0.02)
    assert rates_of(habit)["refusal"] == pytest.approx(0.01)
    assert sum(row.rate for row in habit if not row.shape.readable and not row.is_cut) < 0.0301


def rates_of(habit: Habit) -> Counter[str]:
    rates: Counter[str] = Counter()
    for row in (row for row in habit if not row.is_cut):
        rates[row.shape.kind] += row.rate  # type: ignore[assignment]
    return rates


@pytest.mark.parametrize("step", Step)
def test_a_step_is_known_from_its_schema(step: Step) -> None:
    asked = understood(with_schema(step))
    assert (asked.step, asked.form) == (step, Form.SCHEMA)


@pytest.mark.parametrize("step", Step)
def test_a_step_is_known_from_quoted_names(step: Step) -> None:
    asked = understood(in_words(step))
    assert (asked.step, asked.form) == (step, Form.JSON)


@pytest.mark.parametrize("step", Step)
def test_a_step_is_known_from_its_text(step: Step) -> None:
    asked = understood(in_text(TEXTS[step]))
    assert (asked.step, asked.form) == (step, Form.TEXT)


def test_the_number_and_the_tasks_of_a_prompt_are_found() -> None:
    for body in (in_text(LIST), in_text(BLOCKS)):
        assert understood(body).first == 4
        assert understood(body).shown == [*SHOWN]
    assert understood(in_words(Step.INSTRUCTIONS)).shown == [*SHOWN]


@pytest.mark.parametrize("step", Step)
def test_the_same_seed_gives_the_same_replies(step: Step) -> None:
    bodies = (in_text(TEXTS[step]), in_words(step), with_schema(step))
    one, other, third = ([text for body in bodies for text in replies(ChatModel(seed), body, 10)] for seed in (1, 1, 2))
    assert one == other
    assert one != third


def test_a_prompt_is_answered_anew_each_time() -> None:
    assert len(set(replies(ChatModel(1), in_text(LIST), 50))) > 45


def test_replies_do_not_depend_on_other_prompts() -> None:
    alone, among = ChatModel(1), ChatModel(1)
    replies(among, in_text(BLOCKS), 3)
    assert replies(alone, in_text(LIST), 3) == replies(among, in_text(LIST), 3)


def test_all_habits_are_seen() -> None:
    model = ChatModel(1)
    replies(model, in_text(LIST), 3000)
    seen = Counter(entry.kind for entry in model.journal.entries)
    assert seen.keys() >= {row.shape.kind for row in ORDINARY.text[Step.INSTRUCTIONS]}
    assert 40 < sum(entry.finish_reason == "length" for entry in model.journal.entries) < 80


def test_some_instructions_are_near_copies() -> None:
    model = ChatModel(1)
    replies(model, in_text(LIST), 200)
    meant = [text for entry in model.journal.entries for text in entry.meant.instructions]
    copies = [text for text in meant if max(len(words(text) & words(shown)) for shown in SHOWN) > 8]
    assert not {*copies} & {*SHOWN}
    assert 0.05 < len(copies) / len(meant) < 0.11


def test_requests_for_classification_tasks_get_them() -> None:
    model = ChatModel(1)
    model.reply(in_text("A list of classification tasks.\n\n1. Is the number even or odd?\n2."))
    assert model.meant_instructions
    assert all(map(asks_for_label, model.meant_instructions))


@pytest.mark.parametrize(("instruction", "verdict"), [(OPEN_TASK, "No"), (LABEL_TASK, "Yes")])
def test_verdicts_follow_the_instruction(instruction: str, verdict: str) -> None:
    habits = replace(ORDINARY, text={**ORDINARY.text, Step.CLASSIFICATION: always(VERDICT_SHAPES[0])})
    model = ChatModel(1, habits=habits)
    assert {text.strip() for text in replies(model, in_text(VERDICT.format(instruction)), 20)} == {verdict}
    assert [*model.truth.verdicts.values()] == [verdict == "Yes"]


def test_stop_strings_end_a_reply() -> None:
    habits = replace(ORDINARY, text={**ORDINARY.text, Step.INSTRUCTIONS: always(LIST_SHAPES[0])})
    heeding, heedless = (ChatModel(1, honours_stops=honours, habits=habits) for honours in (True, False))
    body = in_text(LIST, "\n6", "\n\n")
    assert re.findall(r"^\d+", heeding.reply(body).content, re.MULTILINE) == ["5"]
    assert re.findall(r"^\d+", heedless.reply(body).content, re.MULTILINE) == ["5", "6", "7", "8", "9", "10"]
    assert heeding.journal.with_stops == 1


@pytest.mark.parametrize("step", Step)
def test_an_enforced_schema_is_kept(step: Step) -> None:
    model = ChatModel(1, enforces_schema=True)
    for text in replies(model, with_schema(step), 100):
        (value,) = json.loads(text).values()
        fields = PROPERTIES[step][next(iter(PROPERTIES[step]))].get("items", {}).get("properties", {})
        assert all([*each] == [*fields] for each in (value if fields else ()))
    assert model.journal.with_schema == 100


def test_an_unenforced_schema_is_mostly_kept() -> None:
    model = ChatModel(1)
    replies(model, with_schema(Step.INSTRUCTIONS), 1000)
    seen = Counter(entry.kind for entry in model.journal.entries if entry.finish_reason == "stop")
    assert 870 < seen["bare"] < 930
    assert seen["text"] > 0


async def ask(url: str, body: object) -> Any:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/chat/completions", json=body) as response:
        return await response.json()


@pytest.mark.anyio
@pytest.mark.parametrize("step", Step)
async def test_the_server_answers_each_step(step: Step) -> None:
    async with serve(ChatModel(1)) as url:
        for body in (in_text(TEXTS[step], "\n16"), in_words(step), with_schema(step)):
            answer = await ask(url, body)
            (choice,) = answer["choices"]
            assert choice["finish_reason"] in {"stop", "length"}
            assert choice["message"]["role"] == "assistant"
            assert answer["usage"]["completion_tokens"] == len(choice["message"]["content"].split())


@pytest.mark.anyio
async def test_the_server_lists_its_model_and_refuses_nonsense() -> None:
    async with serve(ChatModel(1)) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/models") as response:
            assert [each["id"] for each in (await response.json())["data"]] == ["scripted-chat"]
        async with session.post(f"{url}/chat/completions", data=b"{}") as response:
            assert response.status == 400


def test_the_lines_of_the_journal_give_the_truth() -> None:
    lines: list[str] = []
    model = ChatModel(1, journal=Journal(lines.append))
    for step in Step:
        replies(model, in_text(TEXTS[step]), 10)
    assert truth_of(lines) == model.truth
    assert model.journal.by_step == dict.fromkeys(Step, 10)
    assert sum(model.journal.by_shape.values()) == 50


def test_a_shape_may_require_headings_in_outputs() -> None:
    (shape,) = of_kind(BLOCK_SHAPES, "headings-in-output")
    model = ChatModel(1, habits=replace(ORDINARY, text={Step.TASKS: always(shape)}))
    model.reply(in_text(BLOCKS))
    assert all(each.output.startswith("##") for each in model.journal.entries[0].meant.tasks)
    assert headed(drawn()).startswith("##")


def test_a_direct_answer_is_the_output_alone() -> None:
    (shape,) = of_kind(INSTANCE_SHAPES, "direct")
    model = ChatModel(1, habits=replace(ORDINARY, text={Step.INSTANCES: always(shape)}))
    (text,) = replies(model, in_text(TEXTS[Step.INSTANCES]), 1)
    (meant,) = model.journal.entries[0].meant.tasks
    assert Pair("", text) == meant.pair


@pytest.mark.parametrize(("step", "stops"), [(Step.TASKS, ["\n20", "20."]), (Step.INSTANCES, ["Example 6", "Task:"])])
def test_no_text_holds_a_stop_string_by_chance(step: Step, stops: Sequence[str]) -> None:
    texts = replies(ChatModel(1), in_text(TEXTS[step]), 500)
    assert not [text for text in texts if any(stop in text for stop in stops)]
