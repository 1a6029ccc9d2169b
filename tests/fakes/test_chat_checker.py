"""The checker of tasks that were made with the scripted chat model: what it finds, and what is no fault."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.chat.check import report
from tests.fakes.chat.checker import faults, untrue, visible_faults
from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.remarks import ANSWER_CLOSINGS, ANSWER_PREAMBLES, REFUSALS, TASK_CLOSINGS, TASK_PREAMBLES
from tests.fakes.chat.tasks import (
    write_instruction,
    write_label_pairs,
    write_pairs,
    write_task,
)
from tests.fakes.chat.truth import Meant, Truth
from tests.fakes.chat.words import fill
from tests.fakes.chat_requests import BLOCKS, LABEL_TASK, OPEN_TASK, drawn, in_text, replies


def task(instruction: str = OPEN_TASK, given: str = "", output: str = "It hums.") -> dict[str, Any]:
    return {"instruction": instruction, "instances": [{"input": given, "output": output}], "is_classification": False}


def clean_tasks(seed: int, count: int) -> Iterator[dict[str, Any]]:
    rng = drawn(seed)
    for _ in range(count):
        pairs = write_pairs(rng) if rng.random() < 0.7 else write_label_pairs(rng)
        instances = [{"input": pair.input, "output": pair.output} for pair in pairs]
        yield {"instruction": write_instruction(rng), "instances": instances, "is_classification": False}


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


def test_a_report_counts_and_shows_faults() -> None:
    lines = [*report([task(), task(f"9. {OPEN_TASK}"), task(f"8. {OPEN_TASK}", output="")])]
    assert lines[0] == "1 of 3 tasks are clean"
    assert lines[1].startswith("     2 instruction: list number, such as {")
    assert len(lines) == 3


def test_tasks_read_as_they_were_meant_have_no_faults() -> None:
    model = ChatModel(1)
    replies(model, in_text(BLOCKS), 100)
    meant = [each for entry in model.journal.entries for each in entry.meant.tasks]
    finished = [task(each.instruction, each.input, each.output) | {"is_classification": None} for each in meant]
    assert len(finished) > 700
    assert not [found for each in finished if (found := faults(each, model))]
