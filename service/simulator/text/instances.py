"""Generation of verdicts and instances for one instruction."""

import random
import re
from collections.abc import Callable, Sequence

from service.simulator.text.vocabulary import LABELS
from service.simulator.text.word_tables import SENTENCES, Draw, pick, seeded

# Phrases by which an instruction asks for a label.
_ASKS_FOR_LABEL = re.compile(
    r"\b(?:classif\w*|labels?|categor\w*|decide (?:whether|if)|determine (?:whether|if)|identify whether|tell whether"
    r"|is the following|sentiment|true or false|spam)\b",
    re.IGNORECASE,
)
_YES_WHEN_ASKED = 0.95
_YES_OTHERWISE = 0.01
_DIRECT = 0.3
_MOST_EXAMPLES = 3


def verdict(seed: int, instruction: str) -> str:
    """Return ` Yes` or ` No`; the verdict depends on the seed and the instruction, not on the prompt around it."""
    chance = _YES_WHEN_ASKED if _ASKS_FOR_LABEL.search(instruction) else _YES_OTHERWISE
    return " Yes" if seeded(seed, "verdict", instruction).random() < chance else " No"


def prose(rng: random.Random, sentences: int) -> str:
    """Return a paragraph of the given number of sentences."""
    draw = rng.random
    return " ".join([_sentence(draw) for _ in range(sentences)])


def generation_instances(rng: random.Random) -> str:
    """Return one direct output, or one to three examples with an input and an output each."""
    if rng.random() < _DIRECT:
        return f"Output: {prose(rng, rng.randint(1, 2))}"
    examples = []
    for number in range(1, rng.randint(1, _MOST_EXAMPLES) + 1):
        body = f"Input: {prose(rng, 1)}\nOutput: {prose(rng, rng.randint(1, 2))}"
        examples.append(f"Example {number}\n{body}")
    return "\n".join(examples)


def classification_instances(rng: random.Random, instruction: str) -> str:
    """Return one example for each label of the instruction, the label before the text."""
    labels = labels_of(instruction, rng)
    return "\n".join(f"Class label: {label.capitalize()}\nText: {prose(rng, 1)}" for label in labels)


def unusable_generation(rng: random.Random) -> str:
    """Return a reply from which no instance can be kept."""
    return pick(_UNUSABLE_GENERATION, rng.random)(rng)


def unusable_classification(rng: random.Random) -> str:
    """Return a reply without a label."""
    return f"Text: {prose(rng, 2)}"


def _empty_output(rng: random.Random) -> str:
    return f"Example 1\nInput: {prose(rng, 1)}\nOutput:"


def _output_that_ends_in_a_colon(rng: random.Random) -> str:
    return f"Output: {prose(rng, 1)} For example:"


def _one_input_two_outputs(rng: random.Random) -> str:
    question = prose(rng, 1)
    outputs = (f"First, {prose(rng, 1)}", f"Second, {prose(rng, 1)}")
    return "\n".join(f"Example {n}\nInput: {question}\nOutput: {output}" for n, output in enumerate(outputs, 1))


_UNUSABLE_GENERATION: Sequence[Callable[[random.Random], str]] = (
    lambda rng: prose(rng, 2),
    _empty_output,
    _output_that_ends_in_a_colon,
    _one_input_two_outputs,
)


def _sentence(draw: Draw) -> str:
    return pick(SENTENCES, draw).fill(draw)


def labels_of(instruction: str, rng: random.Random) -> Sequence[str]:
    """Return the labels that an instruction names, or random ones if it names none."""
    lowered = instruction.lower()
    named = (labels for labels in LABELS if labels[0] in lowered and labels[1] in lowered)
    return next(named, None) or pick(LABELS, rng.random)
