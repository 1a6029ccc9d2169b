import unicodedata
from collections import Counter
from io import StringIO

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.console import Console

from service.cli.facts import summary
from service.cli.rendering import fitted_panel, panel, task_view
from service.cli.terminal_text import clean, escaped, safe_json
from service.messaging.dead_letters import DeadLetter
from service.run.facts import facts
from service.run.pace import Pace, duration
from service.run.progress import Progress
from service.selfinstruct.tasks import Instance, Reason
from tests.support import examples

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def shown(renderable: object) -> str:
    console = Console(width=100, no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@given(st.text(max_size=40) | st.text(st.characters(categories=["Cc", "Cf"]), max_size=20))
def test_no_control_character_or_direction_mark_gets_through(text: str) -> None:
    for character in clean(text):
        assert character in "\t\n" or unicodedata.category(character) != "Cc"
        assert character not in BIDI


@pytest.mark.parametrize("text", ["", "tab\tand\nline", "Grüße, 你好, 👩‍👧, naïve", "[bold]not markup[/bold]"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert clean("\x1b[2Jgone\x9b31m\r\x07") == "�[2Jgone�31m��"


def test_hidden_characters_can_be_seen_as_escapes() -> None:
    assert escaped("a\x1b[2J\u202eb\tc\n") == "a\\u001b[2J\\u202eb\tc\n"


def test_a_long_text_is_cut() -> None:
    assert len(clean("x" * 100_000)) < 3_000
    assert clean("x" * 100_000).endswith("…")


def test_json_on_a_terminal_escapes_control_characters() -> None:
    value = {"text": "\x9b31m red \u202e tfel \u2066 \x7f tab\t ümlaut 🙂\nnext"}
    plain = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    safe = safe_json(plain)
    assert orjson.loads(safe) == value
    assert b"\\u009b31m red \\u202e tfel \\u2066 \\u007f" in safe
    assert "ümlaut 🙂".encode() in safe
    assert not set(safe.decode()) & set("\x9b\u202e\u2066\x7f")


def test_a_hostile_task_is_shown_as_text() -> None:
    task = structs.replace(
        examples.finished(4),
        instruction="Do \x1b]0;evil\x07 [red]this[/red]",
        instances=(Instance("in\u202eput", "one\ntwo\x1b[1m"), Instance("", "[/]")),
    )
    text = shown(task_view(task))
    assert "\x1b" not in text
    assert "\u202e" not in text
    for part in ("#5", "[red]this[/red]", "m4", "one", "two", "[/]"):
        assert part in text


def test_a_panel_shows_a_new_run_and_one_on_its_way() -> None:
    progress = Progress()
    assert "0 of 0" in shown(panel(progress, Pace()))
    for message in (examples.goal(5), examples.decision(0, accepted=2), examples.finished(0), examples.answer(0)):
        progress.apply(message)
    text = shown(panel(progress, Pace(), "3 in flight"))
    for part in (
        "1 of 5",
        "2 of 3 candidates (67%)",
        "too_short 1",
        "3 in flight",
        "$0.5",
        "by stage",
        "generate $0.5",
        "by outcome",
    ):
        assert part in text


def test_dead_letters_and_repeated_costs_are_shown_if_any() -> None:
    progress = Progress()
    assert not {"dead letters", "paid twice"} & summary(progress).keys()
    buried = DeadLetter(id="p0", topic="candidates", place="", origin=None, stage=None, reason="", attempts=1)
    for message in (examples.prompt(0), buried, examples.answer(1), examples.answer(1)):
        progress.apply(message)
    assert summary(progress)["dead letters"] == "candidates 1; 1 prompts and 0 tasks stuck"
    assert summary(progress)["paid twice"] == "1 calls"
    told = facts(progress)
    assert (told["dead_letters"], told["stuck"]) == ({"candidates": 1}, {"prompts": 1, "tasks": 0})
    assert (told["paid_twice"], told["spent"]["generate"]["repeated"]) == (1, 1)
    assert (facts(Progress())["dead_letters"], facts(Progress())["paid_twice"]) == ({}, 0)


def test_an_unknown_price_is_no_price() -> None:
    progress = Progress()
    assert summary(progress, Pace())["cost"] == "nothing yet"
    progress.apply(structs.replace(examples.answer(1), call=structs.replace(examples.CALL, cost_usd=None)))
    assert summary(progress, Pace())["cost"] == "unknown (no price given)"


@pytest.mark.parametrize(("seconds", "said"), [(0, "0m 00s"), (61, "1m 01s"), (3_600 * 30 + 60 * 5, "30h 05m")])
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_counts_that_lack_records_are_lower_bounds() -> None:
    progress = Progress(unread=Counter(decisions=33))
    for message in (examples.goal(50), *map(examples.finished, range(33))):
        progress.apply(message)
    told = shown(panel(progress))
    assert "decisions 33: records that only a newer Seedstream can read" in told
    assert "-33" not in told
    counts = facts(progress)
    assert (counts["unread"], counts["pending"], counts["prompts"]["open"]) == ({"decisions": 33}, None, None)


@pytest.mark.parametrize("height", [20, 14])
def test_a_small_terminal_keeps_what_matters_most(height: int) -> None:
    progress = Progress()
    progress.rejected.update({reason.value: 1_000 for reason in Reason})
    budgeted = structs.replace(examples.goal(400), budget_usd=9.5)
    for message in (examples.definition(0), budgeted, examples.decision(0, accepted=2), examples.answer(0)):
        progress.apply(message)
    console = Console(width=60, height=height, file=StringIO(), force_terminal=True, no_color=True)
    calls = "32 in flight, 12 waiting, 32 at once; --rpm or --tpm allows the next in 12 s"
    view = fitted_panel(console, progress, Pace(), calls)
    lines = ["".join(segment.text for segment in line) for line in console.render_lines(view)]
    assert len(lines) < height
    for part in ("0 of 400", "left of $9.5", "32 in flight", "not known yet"):
        assert any(part in line for line in lines), part
    assert not any("by outcome" in line for line in lines)
    large = Console(width=100, height=60, file=StringIO(), force_terminal=True)
    assert "by outcome" in shown(fitted_panel(large, progress, Pace(), calls))
