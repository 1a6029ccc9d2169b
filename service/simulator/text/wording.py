"""The words and sentences that the simulator writes with, by vocabulary."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from msgspec import Struct

from service.simulator.options import Vocabulary
from service.simulator.text import vocabulary, word_tables
from service.simulator.text.word_tables import Frame, compiled, mixed, weighted

# Phrases by which an instruction in English asks for a label.
_ASKS_FOR_LABEL = (
    r"\b(?:classif\w*|labels?|categor\w*|decide (?:whether|if)|determine (?:whether|if)|identify whether|tell whether"
    r"|is the following|sentiment|true or false|spam)\b"
)
_EXPONENT = 0.2
# Read with this module: the server must not wait for a file.
_FILES = {
    each: resources.files(__package__).joinpath(f"vocabularies/{each}.toml").read_text("utf-8")
    for each in Vocabulary
    if each is not Vocabulary.EN
}


class Wording(Struct, frozen=True):
    """Tables of sentence templates and of nouns, the labels of classification tasks, and the blank between words."""

    generation: Sequence[Frame]
    classification: Sequence[Frame]
    blocked: Sequence[Frame]
    short: Sequence[Frame]
    sentences: Sequence[Frame]
    nouns: Sequence[str]
    labels: Sequence[tuple[str, ...]]
    asks_for_label: re.Pattern[str]
    between_words: str = " "

    def split(self, text: str) -> list[str]:
        """Return the words of a text, or its characters if the script has no blanks."""
        return text.split() if self.between_words else list(text)


@cache
def wording_in(chosen: Vocabulary) -> Wording:
    """Return the wording of a vocabulary; it is built on first use."""
    if chosen is not Vocabulary.EN:
        return _parsed(_FILES[chosen])
    return Wording(
        generation=word_tables.GENERATION,
        classification=word_tables.CLASSIFICATION,
        blocked=word_tables.BLOCKED,
        short=word_tables.SHORT,
        sentences=word_tables.SENTENCES,
        nouns=word_tables.TABLES["noun"],
        labels=vocabulary.LABELS,
        asks_for_label=re.compile(_ASKS_FOR_LABEL, re.IGNORECASE),
    )


def _parsed(text: str) -> Wording:
    """Return the wording in a file of the folder `vocabularies`."""
    given = tomllib.loads(text)
    tables = _tables(given)
    return Wording(
        **{name: compiled(lines, _EXPONENT, tables) for name, lines in given["sentences"].items()},
        nouns=tables[next(iter(given["words"]))],
        labels=[tuple(labels) for labels in given["labels"]],
        asks_for_label=re.compile(given["asks_for_label"], re.IGNORECASE),
        between_words=given["between_words"],
    )


def _tables(given: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    comma, last = given["between_labels"]
    lists = [comma.join(labels[:-1]) + last + labels[-1] for labels in given["labels"]]
    words = {name: re.split(r"[|\n]", listed.strip()) for name, listed in given["words"].items()}
    tables = {name: weighted(listed, 0.5) for name, listed in words.items()}
    for name, rare in given["rare"].items():
        composed = ("".join(chosen) for chosen in product(*(part.split() for part in rare["parts"])))
        tables[name] = mixed([rare.get("form", "{}").format(word) for word in composed], words[name])
    return tables | {"labels": weighted(lists, 0.5)}
