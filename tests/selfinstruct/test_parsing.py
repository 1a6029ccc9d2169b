import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Recipe
from service.selfinstruct.replies import debris
from service.selfinstruct.replies.characters import _LINE_BREAKS, _UNPRINTABLE, printable
from service.selfinstruct.tasks import Candidate, Instance, Reason

ALPACA_SCRAPS = ["###", "4.", "5.", "14.", " ", "\n", "Instruction:", "Input:", "Output:", "<noinput>", "x", "."]
ALPACA_REPLY = (
    " Add the numbers.\n4. Input:\n1 and 2\n4. Output:\n3\n"
    "###\n5. Instruction: Greet me.\n5. Input:\n<NoInput>\n5. Output:\nHello"
)


def instructions(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.instruction for candidate in candidates]


def rejections(candidates: tuple[Candidate, ...]) -> list[Reason | None]:
    return [candidate.rejection for candidate in candidates]


def test_a_reply_goes_on_from_the_number_that_ends_the_prompt() -> None:
    candidates = parse_instructions(SELF_INSTRUCT, " Sort these.\n10. add   TWO\tnumbers\n11 . Run", truncated=False)
    assert candidates == (Candidate(0, "Sort these."), Candidate(1, "Add two numbers"), Candidate(2, "Run"))


def test_a_number_separates_only_with_a_blank_after_it() -> None:
    reply = "Round\n3.5 up\n10.Then stop\n11\n. Go on\n12  . Not here"
    assert instructions(parse_instructions(SELF_INSTRUCT, reply, truncated=False)) == [
        "Round 3.5 up 10.then stop",
        "Go on 12 . not here",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "9. Sort these words by length.",
        " Sort these.\n10.Then add two numbers.",
        " Sort these.\n10) Add two numbers.",
        " Sort these words by length. 10. Add two numbers.",
        "Task 9: Sort these words by length.",
        "**Sort** these words.\n**10.** Add two.",
        " Sort these.<|im_end|> Add two numbers.",
        " Sort the words.\nInput: one, two, three\nOutput: three, two, one",
    ],
)
def test_a_piece_that_contains_a_number_or_a_label_is_malformed(reply: str) -> None:
    assert Reason.MALFORMED in rejections(parse_instructions(SELF_INSTRUCT, reply, truncated=False))


@pytest.mark.parametrize(
    "text",
    [
        "Round 3.5 up to the next whole number.",
        "What happened in 1969? Name two events.",
        "Explain the phrase: all that glitters.",
        "Compare the input and the output of a mill.",
        "What does 2**8 come to in Python?",
        "Describe World War 2. Use three sentences.",
    ],
)
def test_a_number_or_a_label_word_within_a_text_is_allowed(text: str) -> None:
    recipe = replace(SELF_INSTRUCT, capitalize=False)
    assert parse_instructions(recipe, f" {text}\n10. {text}", truncated=False) == (
        Candidate(0, text),
        Candidate(1, text),
    )


def test_letter_case_is_kept_when_the_recipe_says_so() -> None:
    recipe = replace(SELF_INSTRUCT, capitalize=False)
    assert instructions(parse_instructions(recipe, " ask NASA", truncated=False)) == ["ask NASA"]


def test_empty_pieces_are_counted_as_empty() -> None:
    candidates = parse_instructions(SELF_INSTRUCT, "\n10. \t\n11. Sort", truncated=False)
    empty = (Candidate(0, "", rejection=Reason.EMPTY), Candidate(1, "", rejection=Reason.EMPTY))
    assert candidates == (*empty, Candidate(2, "Sort"))


@pytest.mark.parametrize("reply", ["", " ", "\n\t"])
def test_a_blank_reply_is_one_candidate(reply: str) -> None:
    assert rejections(parse_instructions(SELF_INSTRUCT, reply, truncated=False)) == [Reason.EMPTY]
    assert rejections(parse_instructions(SELF_INSTRUCT, reply, truncated=True)) == [Reason.TRUNCATED]
    assert rejections(parse_instructions(ALPACA, reply, truncated=False)) == [Reason.MALFORMED]
    assert rejections(parse_instructions(ALPACA, reply, truncated=True)) == [Reason.TRUNCATED]


def test_every_piece_of_a_truncated_reply_is_refused() -> None:
    candidates = parse_instructions(SELF_INSTRUCT, " One\n10. Two\n11. \t", truncated=True)
    assert instructions(candidates) == ["One", "Two", ""]
    assert rejections(candidates) == [Reason.TRUNCATED] * 3


def test_alpaca_candidates_bring_their_instance() -> None:
    assert parse_instructions(ALPACA, ALPACA_REPLY, truncated=False) == (
        Candidate(0, "Add the numbers.", Instance("1 and 2", "3")),
        Candidate(1, "Greet me.", Instance("", "Hello")),
    )


def test_a_truncated_alpaca_reply_loses_its_last_piece_only() -> None:
    candidates = parse_instructions(ALPACA, ALPACA_REPLY, truncated=True)
    assert rejections(candidates) == [None, Reason.TRUNCATED]
    assert candidates[1].instruction.startswith("5. Instruction: Greet me.")
    assert candidates[1].instance is None


@pytest.mark.parametrize(
    ("piece", "what"),
    [
        ("5. Instruction: A\n5. Input:\nB", "a label is missing"),
        ("5. Instruction: A\n5. Input: B\n5. Output: C\n5. Output: D", "a label too many"),
        ("6. Instruction: A\n6. Input: B\n6. Output: C", "the number of another place"),
        ("5. Instruction A\n5. Input: B\n5. Output: C", "no colon"),
        ("5.Instruction: A\n5. Input: B\n5. Output: C", "no blank after the number"),
        ("20. tasks done", "no label"),
    ],
)
def test_a_malformed_piece_is_kept_as_text(piece: str, what: str) -> None:
    candidates = parse_instructions(ALPACA, f" A\n4. Input: B\n4. Output: C\n###\n{piece}\n", truncated=False)
    assert candidates[0].rejection is None
    assert candidates[1] == Candidate(1, piece, rejection=Reason.MALFORMED), what


def test_a_blank_piece_after_the_last_mark_is_empty() -> None:
    candidates = parse_instructions(ALPACA, f"{ALPACA_REPLY}\n###\n", truncated=False)
    assert rejections(candidates) == [None, None, Reason.EMPTY]


def test_numbers_go_on_after_a_malformed_piece() -> None:
    reply = "###nonsense###6. Instruction: A\n6. Input: B\n6. Output: C"
    candidates = parse_instructions(ALPACA, reply, truncated=False)
    assert rejections(candidates) == [Reason.MALFORMED, Reason.MALFORMED, None]
    assert candidates[2] == Candidate(2, "A", Instance("B", "C"))


def original_alpaca(reply: str, *, truncated: bool) -> list[tuple[str, str, str]]:
    """Return the tasks that the published parser keeps, before its filters."""
    pieces = re.split("###", f"4. Instruction:{reply}")
    kept = []
    for place, piece in enumerate(pieces):
        if place == len(pieces) - 1 and truncated:
            continue
        parts = re.split(rf"{place + 4}\.\s+(Instruction|Input|Output):", piece)
        if len(parts) == 7:
            given = parts[4].strip()
            kept.append((parts[2].strip(), "" if given.lower() == "<noinput>" else given, parts[6].strip()))
    return kept


@settings(deadline=None, max_examples=150)
@given(scraps=st.lists(st.sampled_from(ALPACA_SCRAPS), max_size=40), truncated=st.booleans())
def test_alpaca_pieces_are_split_like_the_original(scraps: list[str], truncated: bool) -> None:  # noqa: FBT001
    reply = "".join(scraps)
    kept = [
        (candidate.instruction, candidate.instance.input, candidate.instance.output)
        for candidate in parse_instructions(ALPACA, reply, truncated=truncated)
        if candidate.instance is not None
    ]
    assert kept == original_alpaca(reply, truncated=truncated)


@settings(deadline=None, max_examples=120)
@given(st.text(alphabet="\n 1٣. aB\t\x1c\u2003ß"))
def test_self_instruct_pieces_are_split_like_the_original(reply: str) -> None:
    pieces = [re.sub(r"\s+", " ", piece).strip().capitalize() for piece in re.split(r"\n\d+\s?\. ", reply)]
    candidates = parse_instructions(SELF_INSTRUCT, reply, truncated=False)
    assert instructions(candidates) == pieces
    assert [candidate.position for candidate in candidates] == list(range(len(pieces)))
    for candidate, piece in zip(candidates, pieces, strict=True):
        assert candidate.rejection in ({None, Reason.MALFORMED} if piece else {Reason.EMPTY})


@pytest.mark.timeout(5)
@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, ALPACA])
@pytest.mark.parametrize("unit", ["\n1", "\n1 ", "1", " ", "\n", "4. ", "4.\n\n", "###", "4. Input:", "#", ". "])
def test_hostile_repetition_costs_linear_time(recipe: Recipe, unit: str) -> None:
    assert parse_instructions(recipe, unit * 50_000, truncated=False)
    assert parse_instructions(recipe, f"\n4.{unit * 50_000}", truncated=True)


def plainly_holds_debris(text: str) -> bool:
    normal = debris._BLANKS.sub(lambda blanks: "\n" if "\n" in blanks[0] else " ", text)  # noqa: SLF001
    patterns = (debris._LABEL_INSIDE, debris._NUMBER_AFTER_SENTENCE, debris._LEFT_OVER)  # noqa: SLF001
    return any(each.search(normal) for each in patterns) or bool(debris._NUMBER_FIRST.match(normal))  # noqa: SLF001


MARKS = [
    "assistantfinal",
    "A\u017f\u017f\u0131stantf\u0131nal",
    "**",
    "__",
    "###",
    "#",
    "<noinput>",
    "[/INST]",
    "<|x|>",
]
WORDS = [
    "#",
    "</think>",
    "Input",
    "Output",
    "Instruction",
    "task",
    "2",
    "\u0663",
    ":",
    ". ",
    ") ",
    "\n",
    " ",
    "\u3000",
    "A",
]
FRAGMENTS = st.sampled_from([*MARKS, *WORDS])


@given(st.lists(FRAGMENTS | st.text(max_size=3), max_size=6).map("".join))
def test_a_first_look_at_a_text_overlooks_no_debris(text: str) -> None:
    assert debris.holds_debris(text) == plainly_holds_debris(text)
    assert debris.holds_numbered_label(text) == bool(debris._NUMBERED_LABEL.search(text))  # noqa: SLF001
    assert printable(text) == _UNPRINTABLE.sub("\ufffd", _LINE_BREAKS.sub("\n", text))
