"""The scripted chat model: its texts, their rates, reproducibility, and the findings of its checker."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.fakes.chat.block_shapes import BLOCK_SHAPES, BROKEN_AT
from tests.fakes.chat.check import report
from tests.fakes.chat.checker import faults, untrue, visible_faults
from tests.fakes.chat.habits import ORDINARY, Habit, always
from tests.fakes.chat.instance_shapes import INSTANCE_SHAPES
from tests.fakes.chat.journal import Journal, truth_of
from tests.fakes.chat.json_shapes import JSON_SHAPES, as_json, cut
from tests.fakes.chat.label_shapes import LABEL_SHAPES
from tests.fakes.chat.list_shapes import LIST_SHAPES
from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.outputs import headed, line
from tests.fakes.chat.remarks import ANSWER_CLOSINGS, ANSWER_PREAMBLES, REFUSALS, TASK_CLOSINGS, TASK_PREAMBLES
from tests.fakes.chat.server import serve
from tests.fakes.chat.shapes import Shape, of_kind
from tests.fakes.chat.steps import Form, Step, understood
from tests.fakes.chat.tasks import (
    Pair,
    asks_for_label,
    write_instruction,
    write_label_instruction,
    write_label_pair,
    write_label_pairs,
    write_open_instruction,
    write_pair,
    write_pairs,
    write_task,
)
from tests.fakes.chat.truth import Meant, Truth
from tests.fakes.chat.verdict_shapes import UNREADABLE_VERDICTS, VERDICT_SHAPES
from tests.fakes.chat.words import fill

UNWANTED = re.compile(
    r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram)\b", re.IGNORECASE
)
SHOWN = (
    "Compose a lullaby for a baby dragon that cannot fall asleep before midnight.",
    "Convert a distance from nautical miles to kilometres and round it carefully.",
    "Explain to a child why the sea is salty but rivers are not.",
)
LIST = "A numbered list of tasks.\n\n" + "".join(f"{n}. {text}\n" for n, text in enumerate(SHOWN, 1)) + "4."
BLOCKS = (
    "Put together 20 tasks.\n\n1. Begin the instructions with many different verbs, hardly any of them twice.\n"
    + "".join(
        f"###\n{n}. Instruction: {text}\n{n}. Input:\n<noinput>\n{n}. Output:\nFine.\n"
        for n, text in enumerate(SHOWN, 1)
    )
    + "###\n4. Instruction:"
)
OPEN_TASK = "Explain the quiet charm of beekeeping to the night shift, step by step."
LABEL_TASK = "Decide whether the review from my aunt is praise or criticism."
VERDICT = "Task: Name a river.\nIs it classification? No\n\nTask: {}\nIs it classification?"
GENERATION = "Come up with examples for each task.\n\nTask: Name a river.\nOutput: The Elbe.\n\nTask: {}\n"
LABELLING = "Each task below asks for one label.\n\nTask: Is it odd?\nClass label: odd\nNumber: 3\n\nTask: {}\n"
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
TEXTS = {
    Step.INSTRUCTIONS: LIST,
    Step.TASKS: BLOCKS,
    Step.CLASSIFICATION: VERDICT.format(OPEN_TASK),
    Step.INSTANCES: GENERATION.format(OPEN_TASK),
    Step.LABELS: LABELLING.format(LABEL_TASK),
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
TABLES = {
    "list": LIST_SHAPES,
    "block": BLOCK_SHAPES,
    "verdict": VERDICT_SHAPES,
    "instance": INSTANCE_SHAPES,
    "label": LABEL_SHAPES,
    "json": JSON_SHAPES,
}


def in_text(prompt: str, *stop: str) -> dict[str, Any]:
    return {"model": "any", "messages": [{"role": "user", "content": prompt}], "stop": list(stop)}


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


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def drawn(seed: int = 1) -> random.Random:
    return random.Random(seed)


def replies(model: ChatModel, body: dict[str, Any], count: int) -> list[str]:
    return [model.reply(body).content for _ in range(count)]


def task(instruction: str = OPEN_TASK, given: str = "", output: str = "It hums.") -> dict[str, Any]:
    return {"instruction": instruction, "instances": [{"input": given, "output": output}], "is_classification": False}


def clean_tasks(seed: int, count: int) -> Iterator[dict[str, Any]]:
    rng = drawn(seed)
    for _ in range(count):
        pairs = write_pairs(rng) if rng.random() < 0.7 else write_label_pairs(rng)
        instances = [{"input": pair.input, "output": pair.output} for pair in pairs]
        yield {"instruction": write_instruction(rng), "instances": instances, "is_classification": False}


def test_instructions_are_within_the_filters() -> None:
    rng = drawn()
    written = [write_instruction(rng) for _ in range(3000)]
    assert all(8 <= len(text.split()) <= 22 for text in written)
    assert all(text[0].isascii() and text[0].isupper() and text[-1] in ".?" for text in written)
    assert not [text for text in written if UNWANTED.search(text) or text.startswith("Write a program")]
    assert len(set(written)) > 2950


def test_two_instructions_seldom_share_half_their_words() -> None:
    rng = drawn()
    shares = []
    for _ in range(3000):
        one, other = (words(write_instruction(rng).lower()) for _ in range(2))
        shares.append(len(one & other) / min(len(one), len(other)))
    assert sum(share > 1 / 2 for share in shares) < 30


def test_instructions_contain_characters_that_mislead_parsers() -> None:
    rng = drawn()
    text = "\n".join(write_instruction(rng) for _ in range(2000))
    for sign in ('"', ",", ";", "(", "'", ": ", "é", "ü", "3.5", "1987"):
        assert sign in text


def test_one_in_five_instructions_asks_for_a_label() -> None:
    rng = drawn()
    assert 0.2 < sum(asks_for_label(write_instruction(rng)) for _ in range(2000)) / 2000 < 0.4


def test_a_request_for_a_label_is_recognised_in_any_case() -> None:
    rng = drawn()
    assert all(asks_for_label(write_label_instruction(rng).capitalize()) for _ in range(2000))
    assert not any(asks_for_label(write_open_instruction(rng)) for _ in range(2000))


def test_pairs_are_valid_instances() -> None:
    rng = drawn()
    pairs = [write_pair(rng) for _ in range(2000)] + [write_label_pair(rng) for _ in range(500)]
    assert all(pair.output.strip() and pair.input != pair.output for pair in pairs)
    assert not any(text.rstrip().endswith(":") for pair in pairs for text in (pair.input, pair.output))
    assert 0.35 < sum(not pair.input for pair in pairs[:2000]) / 2000 < 0.45


@pytest.mark.parametrize("sign", ["```", "### ", "- ", "1. ", "\n\n"])
def test_outputs_have_many_forms(sign: str) -> None:
    rng = drawn()
    assert any(sign in write_pair(rng).output for _ in range(300))


@pytest.mark.parametrize("table", TABLES)
def test_names_of_shapes_differ(table: str) -> None:
    assert max(Counter(shape.name for shape in TABLES[table]).values()) == 1


@pytest.mark.parametrize("shape", LIST_SHAPES, ids=lambda shape: str(shape.name))
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_list_holds_the_words_of_its_tasks(shape: Shape, count: int) -> None:
    for seed in range(10):
        rng = drawn(seed)
        instructions = [write_instruction(rng) for _ in range(count)]
        assert words("\n".join(instructions)) <= words(shape.write(rng, instructions, 9))


@pytest.mark.parametrize("shape", BLOCK_SHAPES, ids=lambda shape: str(shape.name))
@pytest.mark.parametrize("count", [1, 2, 8])
def test_blocks_hold_the_words_of_their_tasks(shape: Shape, count: int) -> None:
    for seed in range(10):
        rng = drawn(seed)
        tasks = [write_task(rng) for _ in range(count)]
        meant = "\n".join(f"{each.instruction} {each.input} {each.output}" for each in tasks)
        assert words(meant) <= words(shape.write(rng, tasks, 4))


@pytest.mark.parametrize("shape", [*INSTANCE_SHAPES, *LABEL_SHAPES], ids=lambda shape: str(shape.name))
def test_instances_hold_the_words_of_their_pairs(shape: Shape) -> None:
    for seed in range(20):
        rng = drawn(seed)
        pairs = write_label_pairs(rng) if shape in LABEL_SHAPES else write_pairs(rng)
        assert words("\n".join(f"{pair.input} {pair.output}" for pair in pairs)) <= words(shape.write(rng, pairs))


@pytest.mark.parametrize("shape", VERDICT_SHAPES, ids=lambda shape: str(shape.name))
def test_a_verdict_says_what_it_means(shape: Shape) -> None:
    for seed in range(20):
        for answer, word in ((True, "yes"), (False, "no")):
            assert word in words(shape.write(drawn(seed), answer).lower().replace("assistantfinal", " "))


def test_unreadable_verdicts_say_neither() -> None:
    assert not [text for text in UNREADABLE_VERDICTS if {"yes", "no"} & words(text.lower())]


@pytest.mark.parametrize("shape", JSON_SHAPES, ids=lambda shape: str(shape.name))
def test_json_holds_the_words_of_its_value(shape: Shape) -> None:
    for seed in range(10):
        rng = drawn(seed)
        value = [write_label_instruction(rng).encode("ascii", "ignore").decode() for _ in range(3)]
        assert words(" ".join(value)) <= words(shape.write(rng, {"instructions": value}))


@pytest.mark.parametrize("name", ["bare", "pretty", "blank-lines-before"])
def test_json_without_a_slip_is_json(name: str) -> None:
    value = {"instances": [{"input": "", "output": 'a "b"\nü\\'}]}
    (shape,) = (shape for shape in JSON_SHAPES if shape.name == name)
    assert all(json.loads(shape.write(drawn(seed), value)) == value for seed in range(20))


def test_slips_make_json_invalid() -> None:
    value = {"instances": [{"input": "", "output": 'a "b"\nü\\'}]}
    commas, feeds = (
        of_kind(JSON_SHAPES, kind)[0].write(drawn(), value) for kind in ("trailing-commas", "raw-line-feeds")
    )
    assert json.loads(re.sub(r",(\s*[\]}])", r"\1", commas)) == value
    assert json.loads(feeds, strict=False) == value
    for slipped in (commas, feeds):
        with pytest.raises(json.JSONDecodeError):
            json.loads(slipped)


def test_a_cut_is_in_the_middle() -> None:
    text = as_json(drawn(), {"instructions": ["a" * 100]}, pretty=False)
    for seed in range(50):
        assert text.startswith(part := cut(drawn(seed), text))
        assert 0 < len(part) < len(text)


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


def test_clean_tasks_have_no_faults() -> None:
    spoiled = [(each, found) for each in clean_tasks(1, 3000) if (found := visible_faults(each))]
    assert not spoiled


def test_a_meant_task_is_true_in_any_case_and_spacing() -> None:
    rng = drawn()
    each = write_task(rng)
    truth = Truth.of([Meant((each.instruction,), (each,))])
    loose = {"input": f" {each.input}\n", "output": each.output.replace(" ", "  ")}
    assert not untrue({"instruction": each.instruction.capitalize(), "instances": [loose]}, truth)


def test_a_fence_around_a_whole_output_is_no_fault() -> None:
    model = ChatModel(1)
    model.truth.learn(
        Meant((OPEN_TASK,), (replace(write_task(drawn()), instruction=OPEN_TASK, input="", output="It hums."),))
    )
    assert not faults(task(output="It hums."), model)
    assert not faults(task(output="```text\nIt hums.\n```"), model)


def test_a_label_pair_is_meant_with_and_without_its_field() -> None:
    meant = replace(write_task(drawn()), instruction=OPEN_TASK, input="Review: It hums.", output="praise")
    truth = Truth.of([Meant((OPEN_TASK,), (meant,))])
    assert not untrue(task(given="Review: It hums.", output="praise"), truth)
    assert not untrue(task(given="It hums.", output="praise"), truth)


def test_a_task_that_was_not_meant_is_found() -> None:
    model = ChatModel(1)
    one, other = write_task(drawn(1)), write_task(drawn(2))
    model.truth.learn(Meant((one.instruction, other.instruction), (one, other), (one.instruction, True)))
    mixed = task(one.instruction, other.input, other.output)
    assert untrue(task(), model.truth) == ["instruction: not meant", "instance: not meant"]
    assert untrue(mixed, model.truth) == ["instance: of another task", "is_classification: not meant"]


INSTRUCTIONS_AMISS = {
    "empty": ["", " \n"],
    "list number": [
        f"9. {OPEN_TASK}",
        f"(9) {OPEN_TASK}",
        f"**9.** {OPEN_TASK}",
        f"\uff19\uff0e{OPEN_TASK}",
        f"9\u3001{OPEN_TASK}",
    ],
    "bullet": [f"- {OPEN_TASK}", f"• {OPEN_TASK}"],
    "label": [f"Task 9: {OPEN_TASK}", f"Instruction: {OPEN_TASK}", f"**Task 9:** {OPEN_TASK}"],
    "heading": [f"## {OPEN_TASK}", "### New tasks"],
    "bold mark": [f"**Travel:** {OPEN_TASK}", f"{OPEN_TASK}**", f"**{OPEN_TASK}**", f"**Travel**: {OPEN_TASK}"],
    "quotation marks": [f'"{OPEN_TASK}"', f"\u201c{OPEN_TASK}\u201d"],
    "code fence": [f"```\n{OPEN_TASK}", f"{OPEN_TASK}\n```"],
    "table": [f"| 9 | {OPEN_TASK} |", f"{OPEN_TASK} |"],
    "line break": [f"{OPEN_TASK}\n- one\n- two"],
    "fused tasks": [
        f"{OPEN_TASK} 10. {LABEL_TASK}",
        f"{OPEN_TASK} - {LABEL_TASK}",
        f"{OPEN_TASK} **10.** {LABEL_TASK}",
        f"{OPEN_TASK} Task 10: {LABEL_TASK}".capitalize(),
        f"{OPEN_TASK} a) one",
    ],
    "truncated": ["Explain the quiet charm of", "Explain the quiet charm, and the", "Explain these points:"],
    "half of a pair": ['Explain the saying "still waters', "Explain the rules (those of 1987."],
    "separator": [f"{OPEN_TASK}\n---", f"{OPEN_TASK}\n###"],
    "special token": [
        f"{OPEN_TASK}<|eot_id|>",
        f"{OPEN_TASK}</s>",
        f"<think>{OPEN_TASK}",
        f"{OPEN_TASK}<end_of_turn>",
        f"[/THINK]{OPEN_TASK}",
        f"<channel|>{OPEN_TASK}",
        f"assistantfinal {OPEN_TASK}",
        "analysisWe go on with the list.",
    ],
    "control character": [f"{OPEN_TASK}\x00", f"\u200b{OPEN_TASK}", f"{OPEN_TASK}\u2028", f"{OPEN_TASK}\r"],
    "thinking": ["Okay, so the list goes on.", "The user wants me to go on.", "Thinking Process:", "We need to go on."],
}
TEXTS_AMISS = {
    "piece of markup": ["```", "**", "---", "```json", '"', "###"],
    "half of a fence": ["```python\nprint(1)", "It hums.\n```"],
    "label": [
        "Output: It hums.",
        "It hums.\n5. Instruction: Name a river.",
        "It hums.\n\n**Example 2:**",
        "### Example 2",
    ],
    "fused tasks": ["It hums. Instruction: Name a river.", "It hums. 5. Instruction: Name a river."],
    "separator": ["It hums.\n###", "It hums.\n---", "###\nIt hums."],
    "special token": ["It hums.<|im_end|>", "</think>\nIt hums.", "It hums.</s> [INST] Next, please."],
    "control character": ["It\x00hums.", "It hums.\r\nLoudly."],
    "piece of JSON": ['{"output": "It hums."}', 'It hums.", "input": ""'],
    "bold mark": ["** It hums."],
    "half of a pair": ["**Text: It hums.", "It hums.**"],
    "truncated": ["It hums because of the", "It hums in summer, and"],
    "no-input mark": ["<noinput>", "It hums.\n<no input>"],
    "list number": ["It hums.\n10.", "10."],
    "whole in bold": ["**It hums.**"],
}


def pairs_of(table: dict[str, list[str]]) -> Sequence[tuple[str, str]]:
    return [(fault, text) for fault, texts in table.items() for text in texts]


@pytest.mark.parametrize(("fault", "text"), pairs_of(INSTRUCTIONS_AMISS))
def test_a_spoiled_instruction_is_found(fault: str, text: str) -> None:
    assert f"instruction: {fault}" in visible_faults(task(text))


@pytest.mark.parametrize(("fault", "text"), pairs_of(TEXTS_AMISS))
def test_a_spoiled_input_or_output_is_found(fault: str, text: str) -> None:
    assert f"output: {fault}" in visible_faults(task(output=text))
    assert f"input: {fault}" in visible_faults(task(given=text))


@pytest.mark.parametrize("text", ["None", "N/A", "(no input required)", "No input.", "(none)"])
def test_words_for_no_input_are_found(text: str) -> None:
    assert "input: stands for none" in visible_faults(task(given=text))
    assert "output: stands for none" in visible_faults(task(output=text))


def test_faulty_instances_are_found() -> None:
    assert "instances: none" in visible_faults({**task(), "instances": []})
    assert "output: empty" in visible_faults(task(output=" "))
    assert "output: same as the input" in visible_faults(task(given="It hums.", output=" It  hums."))


@pytest.mark.parametrize("remark", REFUSALS)
def test_every_refusal_is_found(remark: str) -> None:
    for text in (remark, remark.replace("'", "\u2019")):
        assert "output: refusal" in visible_faults(task(output=text))
        assert "instruction: refusal" in visible_faults(task(text.capitalize()))


@pytest.mark.parametrize("remark", [*TASK_PREAMBLES, *ANSWER_PREAMBLES])
def test_every_preamble_is_found(remark: str) -> None:
    text = fill(drawn(), remark)
    assert "output: preamble" in visible_faults(task(output=f"{text}\n\nIt hums."))
    assert "instruction: preamble" in visible_faults(task(text))


@pytest.mark.parametrize("remark", [*TASK_CLOSINGS, *ANSWER_CLOSINGS])
def test_every_closing_remark_is_found(remark: str) -> None:
    text = fill(drawn(), remark).replace("'", "\u2019")
    assert "output: closing remark" in visible_faults(task(output=f"It hums.\n\n{text}"))
    assert "instruction: closing remark" in visible_faults(task(f"{OPEN_TASK} {text}"))


def test_remarks_are_many() -> None:
    for remarks in (TASK_PREAMBLES, ANSWER_PREAMBLES, TASK_CLOSINGS, ANSWER_CLOSINGS, REFUSALS):
        assert len(set(remarks)) >= 15


def test_a_report_counts_and_shows_faults() -> None:
    lines = [*report([task(), task(f"9. {OPEN_TASK}"), task(f"8. {OPEN_TASK}", output="")])]
    assert lines[0] == "1 of 3 tasks are clean"
    assert lines[1].startswith("     2 instruction: list number, such as {")
    assert len(lines) == 3


def test_a_broken_block_is_among_good_ones() -> None:
    rng = drawn()
    tasks = [replace(write_task(rng), output=line(rng)) for _ in range(4)]
    good = BLOCK_SHAPES[0].write(rng, tasks, 4).split("###\n")
    for shape in of_kind(BLOCK_SHAPES, "broken"):
        text = shape.write(rng, tasks, 4)
        assert good[BROKEN_AT] not in text
        assert all(block in text for at, block in enumerate(good) if at != BROKEN_AT)


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


def test_tasks_read_as_they_were_meant_have_no_faults() -> None:
    model = ChatModel(1)
    replies(model, in_text(BLOCKS), 100)
    meant = [each for entry in model.journal.entries for each in entry.meant.tasks]
    finished = [task(each.instruction, each.input, each.output) | {"is_classification": None} for each in meant]
    assert len(finished) > 700
    assert not [found for each in finished if (found := faults(each, model))]


@pytest.mark.parametrize(("step", "stops"), [(Step.TASKS, ["\n20", "20."]), (Step.INSTANCES, ["Example 6", "Task:"])])
def test_no_text_holds_a_stop_string_by_chance(step: Step, stops: Sequence[str]) -> None:
    texts = replies(ChatModel(1), in_text(TEXTS[step]), 500)
    assert not [text for text in texts if any(stop in text for stop in stops)]
