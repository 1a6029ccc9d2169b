"""Instances of a reply, and the selection of those that make a task.

`parse_instances` parses, `select_instances` decides; both follow `prepare_for_finetuning.py` of self-instruct.
`chat_instances` parses the replies of chat models. A reply is hostile text: every pattern here takes time linear in its
length.
"""

import random
import re
from collections.abc import Sequence

from service.selfinstruct.recipe import Form, Recipe
from service.selfinstruct.replies.characters import printable
from service.selfinstruct.tasks import Instance, InstanceReason

_EXAMPLE = re.compile(r"Example\s?\d*+\.?")
_INPUT = re.compile(r"Input\s*+(?:\d++\s*+)?:")
_OUTPUT = re.compile(r"Output\s*+(?:\d++\s*+)?:")
_CLASS_LABEL = "Class label:"


def parse_instances(recipe: Recipe, reply: str, *, is_classification: bool, truncated: bool) -> tuple[Instance, ...]:
    """Return the instances of a reply in order, invalid ones included; none if the reply lacks the expected form.

    In the papers' form, generation replies are input first and classification replies output first (paper, section
    2.2). `truncated` says that the model stopped at its token limit: the last instance, which was cut, is left out.
    """
    if recipe.form is Form.JSON or recipe.chat_model:
        from service.selfinstruct.chat_instances import parse_chat_instances, parse_json_instances

        parse = parse_json_instances if recipe.form is Form.JSON else parse_chat_instances
        return tuple(parse(reply, is_classification=is_classification, truncated=truncated))
    parsed = _parse_classification(reply) if is_classification else _parse_generation(reply.strip())
    kept = parsed[:-1] if truncated else parsed
    return tuple(Instance(printable(instance.input), printable(instance.output)) for instance in kept)


def select_instances(
    instances: Sequence[Instance],
    max_instances: int,
    rng: random.Random,
    *,
    chat_model: bool = False,
    is_classification: bool = False,
) -> tuple[Instance, ...] | InstanceReason:
    """Return the instances that a task keeps, in their order, or the reason why it has none; never an empty tuple.

    Invalid instances are dropped, and identical ones count once. Two outputs for one non-empty input then reject the
    task. If more than `max_instances` (at least 1) are left, that number is sampled. For a `chat_model`, refusals,
    questions back and pieces of markup are invalid too, and so are several labels without an input in a classification
    task.
    """
    if not instances:
        return InstanceReason.NONE_PARSED
    talk = None
    if chat_model:
        from service.selfinstruct.chat_instances import answers_among

        instances, talk = answers_among(instances)
    distinct = list(dict.fromkeys(filter(_is_valid, instances)))
    if not distinct:
        return talk or InstanceReason.NONE_VALID
    if chat_model and is_classification and len(distinct) > 1:
        distinct = [each for each in distinct if each.input]
    if not distinct or _is_contradictory(distinct):
        return InstanceReason.CONTRADICTORY
    if len(distinct) <= max_instances:
        return tuple(distinct)
    return tuple(distinct[place] for place in sorted(rng.sample(range(len(distinct)), max_instances)))


def _parse_generation(reply: str) -> list[Instance]:
    if _EXAMPLE.search(reply):
        return [_input_first(piece.strip()) for piece in _EXAMPLE.split(reply) if piece.strip()]
    return [_input_first(reply)] if _OUTPUT.search(reply) else []


def _input_first(text: str) -> Instance:
    before, *outputs = _OUTPUT.split(text, maxsplit=2)
    given, output = (before.strip(), outputs[0]) if outputs else ("", text)
    leading = _INPUT.match(given)
    return Instance(
        input=given[leading.end() :].strip() if leading else given,
        output=_INPUT.split(output, maxsplit=1)[0].strip(),
    )


def _parse_classification(reply: str) -> list[Instance]:
    return [_output_first(piece.strip()) for piece in reply.split(_CLASS_LABEL)[1:]]


def _output_first(text: str) -> Instance:
    label, _, rest = text.partition("\n")
    return Instance(input=rest.strip(), output=label.strip())


def _is_valid(instance: Instance) -> bool:
    return (
        instance.output not in {"", instance.input}
        and not instance.input.strip().endswith(":")
        and not instance.output.strip().endswith(":")
    )


def _is_contradictory(distinct: Sequence[Instance]) -> bool:
    """Return whether two of these distinct instances share a non-empty input."""
    inputs = [instance.input for instance in distinct if instance.input]
    return len(inputs) != len(set(inputs))
