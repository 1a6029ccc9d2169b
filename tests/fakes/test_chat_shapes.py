"""The texts of the scripted chat model: instructions, pairs, and the shapes that replies have."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from tests.fakes.chat.block_shapes import BLOCK_SHAPES, BROKEN_AT
from tests.fakes.chat.instance_shapes import INSTANCE_SHAPES
from tests.fakes.chat.json_shapes import JSON_SHAPES, as_json, cut
from tests.fakes.chat.label_shapes import LABEL_SHAPES
from tests.fakes.chat.list_shapes import LIST_SHAPES
from tests.fakes.chat.outputs import line
from tests.fakes.chat.remarks import ANSWER_CLOSINGS, ANSWER_PREAMBLES, REFUSALS, TASK_CLOSINGS, TASK_PREAMBLES
from tests.fakes.chat.shapes import Shape, of_kind
from tests.fakes.chat.tasks import (
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
from tests.fakes.chat.verdict_shapes import UNREADABLE_VERDICTS, VERDICT_SHAPES
from tests.fakes.chat_requests import (
    drawn,
    words,
)

UNWANTED = re.compile(
    r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram)\b", re.IGNORECASE
)
TABLES = {
    "list": LIST_SHAPES,
    "block": BLOCK_SHAPES,
    "verdict": VERDICT_SHAPES,
    "instance": INSTANCE_SHAPES,
    "label": LABEL_SHAPES,
    "json": JSON_SHAPES,
}


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


def test_remarks_are_many() -> None:
    for remarks in (TASK_PREAMBLES, ANSWER_PREAMBLES, TASK_CLOSINGS, ANSWER_CLOSINGS, REFUSALS):
        assert len(set(remarks)) >= 15


def test_a_broken_block_is_among_good_ones() -> None:
    rng = drawn()
    tasks = [replace(write_task(rng), output=line(rng)) for _ in range(4)]
    good = BLOCK_SHAPES[0].write(rng, tasks, 4).split("###\n")
    for shape in of_kind(BLOCK_SHAPES, "broken"):
        text = shape.write(rng, tasks, 4)
        assert good[BROKEN_AT] not in text
        assert all(block in text for at, block in enumerate(good) if at != BROKEN_AT)
