"""Generation of verdicts and instances for one instruction."""

import random
from collections.abc import Callable, Sequence

from service.simulator.text.word_tables import pick, seeded
from service.simulator.text.wording import Wording

_YES_WHEN_ASKED = 0.95
_YES_OTHERWISE = 0.01
_DIRECT = 0.3
_MOST_EXAMPLES = 3


def verdict(wording: Wording, seed: int, instruction: str) -> str:
    """Return ` Yes` or ` No`; the verdict depends on the seed and the instruction, not on the prompt around it."""
    chance = _YES_WHEN_ASKED if wording.asks_for_label.search(instruction) else _YES_OTHERWISE
    return " Yes" if seeded(seed, "verdict", instruction).random() < chance else " No"


def prose(wording: Wording, rng: random.Random, sentences: int) -> str:
    """Return a paragraph of the given number of sentences."""
    draw = rng.random
    return wording.between_words.join([pick(wording.sentences, draw).fill(draw) for _ in range(sentences)])


def generation_instances(wording: Wording, rng: random.Random) -> str:
    """Return one direct output, or one to three examples with an input and an output each."""
    if rng.random() < _DIRECT:
        return f"Output: {prose(wording, rng, rng.randint(1, 2))}"
    examples = []
    for number in range(1, rng.randint(1, _MOST_EXAMPLES) + 1):
        body = f"Input: {prose(wording, rng, 1)}\nOutput: {prose(wording, rng, rng.randint(1, 2))}"
        examples.append(f"Example {number}\n{body}")
    return "\n".join(examples)


def classification_instances(wording: Wording, rng: random.Random, instruction: str) -> str:
    """Return one example for each label of the instruction, the label before the text."""
    labels = labels_of(wording, rng, instruction)
    return "\n".join(f"Class label: {label.capitalize()}\nText: {prose(wording, rng, 1)}" for label in labels)


def unusable_generation(wording: Wording, rng: random.Random) -> str:
    """Return a reply from which no instance can be kept."""
    return pick(_UNUSABLE_GENERATION, rng.random)(wording, rng)


def unusable_classification(wording: Wording, rng: random.Random) -> str:
    """Return a reply without a label."""
    return f"Text: {prose(wording, rng, 2)}"


def _empty_output(wording: Wording, rng: random.Random) -> str:
    return f"Example 1\nInput: {prose(wording, rng, 1)}\nOutput:"


def _output_that_ends_in_a_colon(wording: Wording, rng: random.Random) -> str:
    return f"Output: {prose(wording, rng, 1)} For example:"


def _one_input_two_outputs(wording: Wording, rng: random.Random) -> str:
    question = prose(wording, rng, 1)
    outputs = (f"First, {prose(wording, rng, 1)}", f"Second, {prose(wording, rng, 1)}")
    return "\n".join(f"Example {n}\nInput: {question}\nOutput: {output}" for n, output in enumerate(outputs, 1))


_UNUSABLE_GENERATION: Sequence[Callable[[Wording, random.Random], str]] = (
    lambda wording, rng: prose(wording, rng, 2),
    _empty_output,
    _output_that_ends_in_a_colon,
    _one_input_two_outputs,
)


def labels_of(wording: Wording, rng: random.Random, instruction: str) -> Sequence[str]:
    """Return the labels that an instruction names, or random ones if it names none."""
    lowered = instruction.lower()
    named = (labels for labels in wording.labels if labels[0] in lowered and labels[1] in lowered)
    return next(named, None) or pick(wording.labels, rng.random)
