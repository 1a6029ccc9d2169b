import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources

import pytest
from rapidfuzz.distance import LCSseq

from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT
from service.simulator import SimulatorOptions
from service.simulator.text.generator import Reply, count_tokens, end_reply, write_reply
from service.simulator.text.prompt_parser import Stage, recognise
from tests.simulator import prompts

CLEAN = SimulatorOptions(
    seed=3, near_duplicate_rate=0, blocked_word_rate=0, too_short_rate=0, truncation_rate=0, unusable_rate=0
)
BLOCKED = re.compile(rf"\b(?:{'|'.join(ALPACA.filters.blocked_words)})\b", re.IGNORECASE)
CLASSIFY = "Decide whether the review of a phone is positive, negative or neutral."


def candidates(options: SimulatorOptions, replies: int) -> Iterator[str]:
    for number in range(replies):
        text = write_reply(options, prompts.instructions(f"tasks {number}")).text
        yield from (" ".join(piece.split()) for piece in re.split(r"\n\d+\s?\. ", text))


def share(hits: int, options: SimulatorOptions, replies: int = 400) -> float:
    return hits / sum(1 for _ in candidates(options, replies))


def rouge_l(one: str, other: str) -> float:
    first, second = re.findall(r"[a-z0-9]+", one.lower()), re.findall(r"[a-z0-9]+", other.lower())
    return 2 * LCSseq.similarity(first, second) / (len(first) + len(second))


def test_a_reply_depends_on_seed_and_prompt_only() -> None:
    prompt = prompts.alpaca()
    assert write_reply(CLEAN, prompt) == write_reply(CLEAN, prompt)
    assert write_reply(replace(CLEAN, seed=4), prompt) != write_reply(CLEAN, prompt)
    assert write_reply(CLEAN, prompts.alpaca("chores")) != write_reply(CLEAN, prompt)


def test_a_reply_is_the_same_in_another_process() -> None:
    program = (
        "from service.simulator import SimulatorOptions; from service.simulator.text.generator import write_reply;"
        "from tests.simulator import prompts;"
        "print(write_reply(SimulatorOptions(seed=9), prompts.instructions()).text, end='')"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout == write_reply(SimulatorOptions(seed=9), prompts.instructions()).text


@pytest.mark.parametrize("number", range(20))
def test_instructions_continue_the_numbers_of_the_prompt(number: int) -> None:
    text = write_reply(CLEAN, prompts.instructions(f"tasks {number}")).text
    assert not text.startswith("\n")
    numbers = [int(found) for found in re.findall(r"\n(\d+)\. ", text)]
    assert numbers == list(range(10, 10 + len(numbers)))
    assert 4 <= len(numbers) + 1 <= 7
    assert not any(stop in text for stop in SELF_INSTRUCT.instruction_sampling.stop)


@pytest.mark.parametrize("number", range(20))
def test_every_clean_alpaca_task_splits_into_seven_parts(number: int) -> None:
    reply = end_reply(write_reply(CLEAN, prompts.alpaca(f"tasks {number}")), ALPACA.instruction_sampling.stop, None)
    pieces = [piece for piece in f"4. Instruction:{reply.text}".split("###") if piece.strip()]
    assert 10 <= len(pieces) <= 16
    for k, piece in enumerate(pieces, 4):
        parts = re.split(rf"{k}\.\s+(Instruction|Input|Output):", piece)
        assert len(parts) == 7
        assert all(part.strip() for part in parts[1:])


def test_clean_instructions_pass_the_filters_of_both_recipes() -> None:
    for text in candidates(CLEAN, 300):
        assert 3 < len(text.split()) < 60
        assert not BLOCKED.search(text)
        assert re.match("[A-Z]", text)


def test_most_clean_instructions_differ_from_each_other() -> None:
    pool: list[str] = []
    texts = list(candidates(CLEAN, 60))
    for text in texts:
        if all(rouge_l(text, accepted) <= 0.7 for accepted in pool):
            pool.append(text)
    assert len(pool) / len(texts) > 0.8


def test_vocabulary_grows_slower_than_the_text() -> None:
    words = [word.lower() for text in candidates(CLEAN, 1000) for word in re.findall(r"[A-Za-z]+", text)]
    first, both = len(set(words[: len(words) // 2])), len(set(words))
    assert 1.02 * first < both < 1.5 * first


def test_near_duplicates_are_variations_of_shown_tasks() -> None:
    options = replace(CLEAN, near_duplicate_rate=0.3)
    near = sum(any(0.7 < rouge_l(text, shown) < 1 for shown in prompts.SHOWN) for text in candidates(options, 400))
    assert 0.25 < share(near, options) < 0.35


def test_near_duplicates_vary_alpaca_tasks_but_not_requirements() -> None:
    text = write_reply(replace(CLEAN, near_duplicate_rate=1), prompts.alpaca()).text
    for instruction in re.findall(r"Instruction: (.*)", text):
        assert any(rouge_l(instruction, shown) > 0.7 for shown in prompts.SHOWN[:3])


def test_blocked_words_and_short_instructions_have_their_rates() -> None:
    blocked = replace(CLEAN, blocked_word_rate=0.2)
    assert 0.16 < share(sum(bool(BLOCKED.search(text)) for text in candidates(blocked, 400)), blocked) < 0.24
    short = replace(CLEAN, too_short_rate=0.2)
    assert 0.16 < share(sum(len(text.split()) <= 3 for text in candidates(short, 400)), short) < 0.24


def test_truncated_replies_come_at_their_rate_and_end_early() -> None:
    options = replace(CLEAN, truncation_rate=0.25)
    texts = [prompts.instructions(f"tasks {number}") for number in range(400)]
    cut = [text for text in texts if write_reply(options, text).truncated]
    assert 0.18 < len(cut) / len(texts) < 0.32
    for text in cut:
        reply = end_reply(write_reply(options, text), (), None)
        assert reply.finish_reason == "length"
        assert write_reply(CLEAN, text).text.startswith(reply.text)


def test_about_a_fifth_of_instructions_is_classification() -> None:
    yes = sum(write_reply(CLEAN, prompts.classification(text)).text == " Yes" for text in candidates(CLEAN, 400))
    assert 0.15 < share(yes, CLEAN) < 0.25


def test_a_verdict_depends_on_the_instruction_not_on_its_prompt() -> None:
    for text in candidates(CLEAN, 30):
        prompt = prompts.classification(text)
        assert write_reply(CLEAN, prompt).text in {" Yes", " No"}
        assert write_reply(CLEAN, prompt) == write_reply(CLEAN, f"Another header.\n\n{prompt}\n")


def test_each_generation_instance_has_an_output() -> None:
    texts = [write_reply(CLEAN, prompts.generation_instances(shown)).text for shown in candidates(CLEAN, 20)]
    assert {len(re.findall("Example", text)) for text in texts} == {0, 1, 2, 3}
    for text in texts:
        examples = re.findall(r"Example \d\nInput: (.+)\nOutput: (.+)", text)
        assert len(examples) == len(re.findall("Example", text))
        assert examples or re.fullmatch("Output: .+[^:]", text)


def test_classification_instances_use_the_instruction_s_labels() -> None:
    text = write_reply(CLEAN, prompts.classification_instances(CLASSIFY)).text
    assert re.findall(r"Class label: (.+)\nText: .+", text) == ["Positive", "Negative", "Neutral"]


def test_unusable_instances_come_at_their_rate() -> None:
    options = replace(CLEAN, unusable_rate=0.3)
    texts = [write_reply(options, prompts.classification_instances(f"{CLASSIFY} {n}")).text for n in range(400)]
    assert 0.23 < sum("Class label:" not in text for text in texts) / len(texts) < 0.37


@pytest.mark.parametrize(
    ("name", "value", "stage"),
    [
        ("instructions", "1. One thing\n2.", Stage.INSTRUCTIONS),
        ("instructions_classification", "1. One thing\n2.", Stage.INSTRUCTIONS),
        ("classification", CLASSIFY, Stage.CLASSIFICATION),
        ("instances_generation", CLASSIFY, Stage.GENERATION_INSTANCES),
        ("instances_classification", CLASSIFY, Stage.CLASSIFICATION_INSTANCES),
        ("alpaca", "###\n1. Instruction: One thing\n###\n2. Instruction:", Stage.ALPACA),
    ],
)
def test_shipped_templates_are_recognised(name: str, value: str, stage: Stage) -> None:
    template = (resources.files("service") / "resources" / "templates" / f"{name}.txt").read_text()
    request = recognise(re.sub(r"\{\{\w+\}\}", lambda _: value, template))
    assert request.stage is stage
    assert request.instruction == (CLASSIFY if value is CLASSIFY else "")


def test_an_unknown_prompt_gets_prose() -> None:
    text = write_reply(CLEAN, "Hello, who are you?").text
    assert len(text.split()) > 8
    assert not re.search(r"\d+\.|Output:|Class label:", text)


def test_a_task_about_classification_gets_instances() -> None:
    prompt = prompts.generation_instances("What is classification?")
    assert "Output:" in write_reply(CLEAN, prompt).text


def test_the_first_stop_string_ends_a_reply() -> None:
    ended = end_reply(Reply("one two\nthree STOP four"), ("STOP", "\n"), 100)
    assert (ended.text, ended.finish_reason, ended.tokens) == ("one two", "stop", 2)


def test_max_tokens_ends_a_reply_by_length() -> None:
    ended = end_reply(Reply(" one two  three four"), ("four",), 3)
    assert (ended.text, ended.finish_reason, ended.tokens) == (" one two  three", "length", 3)


def test_a_stop_string_before_max_tokens_ends_a_reply() -> None:
    ended = end_reply(Reply("one two three four", truncated=True), ("two",), 3)
    assert (ended.text, ended.finish_reason) == ("one ", "stop")
    assert ended.tokens == count_tokens(ended.text)
