"""Text of the simulator in each vocabulary."""

import json
import re

import pytest

from service.selfinstruct.unicode_words import count_words
from service.simulator import SimulatorOptions
from service.simulator.options import Vocabulary
from service.simulator.text.generator import write_reply
from service.simulator.text.prompt_parser import Stage
from service.simulator.text.wording import wording_in
from tests.simulator import prompts

LETTERS = {
    Vocabulary.EN: "[a-z]",
    Vocabulary.ZH: "[\u4e00-\u9fff]",
    Vocabulary.RU: "[\u0430-\u044f]",
    Vocabulary.TR: "[\u0131\u015f\u011f\u00e7\u00f6\u00fc]",
    Vocabulary.CODE: "[a-z][A-Z]",
}


def instructions(vocabulary: Vocabulary, **rates: float) -> list[str]:
    options = SimulatorOptions(vocabulary=vocabulary, truncation_rate=0.0, **rates)  # type: ignore[arg-type]
    replies = (
        write_reply(options, prompts.instructions(f"tasks {number}"), Stage.INSTRUCTIONS).text for number in range(40)
    )
    return [text for reply in replies for text in json.loads(reply)["instructions"]]


@pytest.mark.parametrize("vocabulary", Vocabulary)
def test_most_instructions_are_fresh_and_in_their_script(vocabulary: Vocabulary) -> None:
    written = instructions(vocabulary, near_duplicate_rate=0.0, blocked_word_rate=0.0, too_short_rate=0.0)
    assert len(set(written)) > 0.9 * len(written)
    assert all(re.search(LETTERS[vocabulary], text) for text in written)
    assert all(4 <= count_words(text) <= 60 for text in written)
    assert not [text for text in written if "{" in text]


@pytest.mark.parametrize("vocabulary", Vocabulary)
def test_short_instructions_are_too_short_in_any_script(vocabulary: Vocabulary) -> None:
    written = instructions(vocabulary, near_duplicate_rate=0.0, blocked_word_rate=0.0, too_short_rate=1.0)
    assert all(0 < count_words(text) < 4 for text in written)


@pytest.mark.parametrize("vocabulary", Vocabulary)
def test_instructions_that_ask_for_a_label_name_labels(vocabulary: Vocabulary) -> None:
    wording = wording_in(vocabulary)
    written = instructions(vocabulary, near_duplicate_rate=0.0, classification_rate=1.0, blocked_word_rate=0.0)
    asking = [text for text in written if wording.asks_for_label.search(text)]
    assert len(asking) > len(written) / 2
    assert any(all(label in text for label in wording.labels[0]) for text in asking)
