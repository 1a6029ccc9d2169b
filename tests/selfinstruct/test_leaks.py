"""Leaks around an answer are removed: thinking, channels, special tokens, an echo. Answers about them are kept."""

import json

import pytest

from service.selfinstruct.replies.characters import excerpt, printable, without_lone_surrogates
from service.selfinstruct.replies.leaks import clean_reply, without_echo, without_thinking

ANSWER = "9. Name a river.\n10. Name a lake."


@pytest.mark.parametrize(
    "reply",
    [
        ANSWER,
        f"<think>\nThe user wants tasks. 9. maybe\n</think>\n\n{ANSWER}",
        f"The user wants tasks.\n</think>\n{ANSWER}",
        f"<think></think>{ANSWER}",
        f"<thinking>hm</thinking>\n{ANSWER}",
        f"[THINK]hm[/THINK]{ANSWER}",
        f"<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
        f"analysisThe user wants tasks.assistantfinal{ANSWER}",
        f"{ANSWER}<|im_end|>\n<|im_start|>user\nMore, please.",
        f"{ANSWER}</s>",
        f"{ANSWER}<end_of_turn>\n<start_of_turn>user\nMore",
        f"<|im_start|>assistant\n{ANSWER}",
        f"<s> {ANSWER}",
    ],
)
def test_only_the_answer_is_left(reply: str) -> None:
    assert clean_reply(reply).strip() == ANSWER


@pytest.mark.parametrize(
    "reply",
    ["<think>\nThe user wants", "<|channel|>analysis<|message|>The user wants", "analysisThe user wants", "[THINK] hm"],
)
def test_thinking_that_never_ended_is_no_answer(reply: str) -> None:
    assert without_thinking(reply) is None
    assert clean_reply(reply) == ""


@pytest.mark.parametrize(
    "answer",
    [
        "Explain the HTML tag <think> to a child.",
        "Draw a line through it: <s>old</s> new.",
        "The analysis of the data is done.",
        "a < b and c > d | e",
        "The model says what it thinks.",
    ],
)
def test_an_answer_that_resembles_a_leak_is_kept(answer: str) -> None:
    assert clean_reply(answer) == answer


def test_the_prompt_before_an_answer_is_removed() -> None:
    prompt = "Come up with tasks that nobody has thought of so far, and number them as those here:\n1. Sing.\n2."
    assert without_echo(f"{prompt} Dance.\n3. Rest.", prompt) == " Dance.\n3. Rest."
    assert without_echo(f"<|user|>{prompt}<|assistant|>Dance.", prompt) == "<|assistant|>Dance."
    assert without_echo("Dance.", prompt) == "Dance."
    assert without_echo("2. Dance.", "2.") == " Dance."


def test_control_characters_and_lone_surrogates_are_removed() -> None:
    assert printable("a\r\nb\rc\x0bd") == "a\nb\nc\nd"
    assert printable("\x1b[31mred\x00\x9b\ud83d") == "\ufffd[31mred\ufffd\ufffd\ufffd"
    assert printable("tab\there, \U0001f600 and ż") == "tab\there, \U0001f600 and ż"
    assert without_lone_surrogates({"a\ud800": ["b\udc00", 1, None]}) == {"a\ufffd": ["b\ufffd", 1, None]}


def test_an_excerpt_is_one_line_of_bounded_length() -> None:
    assert excerpt("one\n\n two\x1b") == "one two\ufffd"
    assert excerpt("a" * 300, most=10) == "a" * 10 + "…"
    assert excerpt(" " * 1_000_000 + "a", most=10) == "…"


def test_an_excerpt_of_json_shows_letters_without_escapes() -> None:
    assert excerpt('["\\u041e\\u0434\\u0438\\u043d \\u628a\\u0022"]') == '["Один 把\\u0022"]'
    assert excerpt(r"\u628a" * 300, most=10) == "把" * 10 + "…"


@pytest.mark.parametrize("text", ["हिन्दी भाषा", "ภาษาไทยที่", "العربيّة؟", "把字。「好」", "Größe: 5 €", "👍🏽 𠀀", "é"])
def test_an_excerpt_shows_marks_signs_and_pairs_too(text: str) -> None:
    assert excerpt(json.dumps([text])) == f'["{text}"]'


@pytest.mark.parametrize(
    "reply",
    [
        r"\\u041e",
        r"a\u001b[2J\u009b",
        r"\u202e\u200b\u3164\u007f",
        r"\u0022\u005c",
        r"\ud83d",
        r"\u04",
        r"\udb40\udc01",
    ],
)
def test_an_excerpt_keeps_escapes_that_hide_something(reply: str) -> None:
    assert excerpt(reply) == reply
