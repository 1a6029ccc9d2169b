"""Made-up tasks: instructions, instances of them, and whether an instruction asks for a label."""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.fakes.chat.labels import ASKS, LABEL_WORDS, LABELS, MANNERS, MATERIALS, QUESTIONS, Labels
from tests.fakes.chat.outputs import INPUTS, OUTPUTS, Writer, drawn, line
from tests.fakes.chat.phrases import AUDIENCES, OPEN, SUBJECTS, VERBS
from tests.fakes.chat.words import choose, fill, sentence

_FEWEST_WORDS, _MOST_WORDS = 8, 22
_LABEL_RATE = 0.28
_WHOLE_SENTENCE_RATE = 0.25
_QUESTION_RATE = 0.25
_NO_INPUT_RATE = 0.4
_TWO_FIELDS_RATE = 0.15
_MOST_PAIRS = 4
_ASKS_FOR_LABEL = re.compile("|".join(LABEL_WORDS), re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """An instance: an input, which may be empty, and its output."""

    input: str
    output: str


@dataclass(frozen=True)
class Task:
    """A whole task with one instance, as in Alpaca."""

    instruction: str
    input: str
    output: str

    @property
    def pair(self) -> Pair:
        return Pair(self.input, self.output)


def write_instruction(rng: random.Random) -> str:
    """Return an instruction of 8 to 22 words. More than one in five asks for a label."""
    return write_label_instruction(rng) if rng.random() < _LABEL_RATE else write_open_instruction(rng)


def write_open_instruction(rng: random.Random) -> str:
    return _fitting(lambda: _open_phrase(rng))


def write_label_instruction(rng: random.Random) -> str:
    """Return an instruction whose answer is one of a few labels."""
    return _fitting(lambda: _label_phrase(rng, rng.choice(LABELS)))


def asks_for_label(instruction: str) -> bool:
    """Return whether an instruction asks for a label, in any letter case. This is the truth for the model."""
    return _ASKS_FOR_LABEL.search(instruction) is not None


def write_pair(rng: random.Random) -> Pair:
    """Return an instance. Two in five have no input."""
    return _with_input(rng, "" if rng.random() < _NO_INPUT_RATE else drawn(rng, INPUTS))


def write_pairs(rng: random.Random) -> tuple[Pair, ...]:
    """Return the instances of one task: one without an input, or some with different inputs."""
    if rng.random() < _NO_INPUT_RATE:
        return (write_pair_without_input(rng),)
    return _unlike(_with_input(rng, drawn(rng, INPUTS)) for _ in range(rng.randint(1, _MOST_PAIRS)))


def write_pair_without_input(rng: random.Random) -> Pair:
    return _with_input(rng, "")


def write_label_pair(rng: random.Random) -> Pair:
    """Return an instance of a classification task: a text after its field's name, and a label."""
    labels = rng.choice(LABELS)
    return _labelled(rng, labels, rng.choice(labels.names), two_fields=rng.random() < _TWO_FIELDS_RATE)


def write_label_pairs(rng: random.Random) -> tuple[Pair, ...]:
    """Return an instance for each label of one task."""
    labels = rng.choice(LABELS)
    two_fields = rng.random() < _TWO_FIELDS_RATE
    return _unlike(_labelled(rng, labels, name, two_fields=two_fields) for name in labels.names)


def write_task(rng: random.Random) -> Task:
    pair = write_pair(rng)
    return Task(write_instruction(rng), pair.input, pair.output)


def _fitting(write: Callable[[], str]) -> str:
    while not _FEWEST_WORDS <= len((text := write()).split()) <= _MOST_WORDS:
        pass
    return sentence(text)


def _open_phrase(rng: random.Random) -> str:
    if rng.random() < _WHOLE_SENTENCE_RATE:
        return choose(rng, OPEN)
    verb, subject, audience = (rng.choice(parts) for parts in (VERBS, SUBJECTS, AUDIENCES))
    return fill(rng, f"{verb} {subject} {audience}{rng.choice((', {limit}', '; {extra}', '. {rule}', ''))}.")


def _label_phrase(rng: random.Random, labels: Labels) -> str:
    is_question = rng.random() < _QUESTION_RATE
    ending = rng.choice((f", {rng.choice(MANNERS)}", f" {rng.choice(MANNERS)}", ""))
    phrase = f"{rng.choice(QUESTIONS)}?" if is_question else f"{rng.choice(ASKS)}{ending}."
    for slot, text in (("material", rng.choice(MATERIALS)), ("field", labels.field.lower()), ("labels", labels.listed)):
        phrase = phrase.replace(f"{{{slot}}}", text)
    return fill(rng, phrase)


def _with_input(rng: random.Random, text: str) -> Pair:
    return Pair(text, _other_than(text, rng, OUTPUTS))


def _other_than(text: str, rng: random.Random, writers: dict[Writer, float]) -> str:
    while (other := drawn(rng, writers)) == text:
        pass
    return other


def _labelled(rng: random.Random, labels: Labels, name: str, *, two_fields: bool) -> Pair:
    fields = (f"{labels.field} 1", f"{labels.field} 2") if two_fields else (labels.field,)
    return Pair("\n".join(f"{field}: {line(rng)}" for field in fields), name)


def _unlike(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple({pair.input: pair for pair in pairs}.values())
