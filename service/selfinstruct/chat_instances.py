"""Instances from the replies of chat models: JSON, or text with labels of many kinds."""

import re
from collections.abc import Iterator, Sequence

from service.selfinstruct.replies.characters import printable
from service.selfinstruct.replies.chatter import asks_back, is_thinking_aloud
from service.selfinstruct.replies.debris import holds_next_example
from service.selfinstruct.replies.json_text import (
    MOST_OF_A_REPLY,
    Json,
    as_text,
    looks_like_json,
    read_json,
    with_plain_names,
)
from service.selfinstruct.replies.leaks import clean_reply
from service.selfinstruct.replies.markup import tidy_json_value
from service.selfinstruct.replies.offers import without_talk
from service.selfinstruct.replies.pairs import read_labelled_pairs, read_pairs
from service.selfinstruct.replies.refusals import is_refusal
from service.selfinstruct.replies.stand_ins import (
    is_only_marks,
    is_placeholder,
    stands_for_no_input,
    stands_for_no_output,
)
from service.selfinstruct.tasks import Instance, InstanceReason

_LIST_NAMES = ("instances", "examples")
_OUTPUT_NAMES = ("output", "class_label", "label", "answer", "response")
_BARE_OUTPUT_NAMES = ("output", "class_label")
# Names of values that models put beside an input and an output, and that are neither.
_REMARK_NAMES = frozenset({"explanation", "reason", "reasoning", "note", "notes", "id", "type", "example", "number"})
_LABELLED = re.compile(
    r"^[*_#> \t]*+(?:input|output|class label|example[ \t]*+\d*+)[*_]*+[ \t]*+:", re.IGNORECASE | re.MULTILINE
)
_FIELD = re.compile(r"^\w[\w ]{0,20}:\s*+")


def parse_chat_instances(reply: str, *, is_classification: bool, truncated: bool) -> list[Instance]:
    """Return the instances of a text reply, without the last one if the reply was truncated.

    A refusal is returned as an output; `instances.select_instances` rejects it.
    """
    text = clean_reply(printable(reply)).strip()
    pairs = read_labelled_pairs(text) if is_classification else read_pairs(text)
    pairs = [(given, without_talk(output)) for given, output in pairs]
    if is_classification and not pairs and is_refusal(text):
        pairs = [("", text)]
    return [Instance(*pair) for pair in (pairs[:-1] if truncated else pairs)]


def parse_json_instances(reply: str, *, is_classification: bool, truncated: bool) -> list[Instance]:
    """Return the instances of a JSON reply, or of a text reply if the model answers in text after all."""
    text = clean_reply(printable(reply)).strip()
    found = read_json(text)
    before = text[: text.find("{")] if "{" in text else ""
    is_asked_for = any(map(_holds_list, found.values))
    is_text = not is_asked_for and (found.share < MOST_OF_A_REPLY or _LABELLED.search(before) is not None)
    instances = [] if is_text else [instance for value in found.values for instance in _instances_in(value)]
    if not instances and not found.broken and (is_text or not looks_like_json(text)):
        return parse_chat_instances(reply, is_classification=is_classification, truncated=truncated)
    return instances


def answers_among(instances: Sequence[Instance]) -> tuple[list[Instance], InstanceReason | None]:
    """Return the instances that are neither talk nor pieces of markup, and the reason to reject the first talk."""
    talk = [_talk(each) for each in instances]
    answers = [each for each, reason in zip(instances, talk, strict=True) if reason is None and not _is_marked(each)]
    return answers, next(filter(None, talk), None)


def _talk(instance: Instance) -> InstanceReason | None:
    """Return the reason to reject an instance that addresses the user instead of answering the task, or None."""
    if is_refusal(instance.output) or is_refusal(_FIELD.sub("", instance.input, count=1)):
        return InstanceReason.REFUSAL
    return InstanceReason.CHATTER if asks_back(instance.output) or is_thinking_aloud(instance.output) else None


def _is_marked(instance: Instance) -> bool:
    given = instance.input
    if stands_for_no_output(instance.output) or any(map(holds_next_example, (given, instance.output))):
        return True
    return any(is_only_marks(text) or is_placeholder(text) for text in (instance.output, given or instance.output))


def _holds_list(value: Json) -> bool:
    return isinstance(value, dict) and not with_plain_names(value).keys().isdisjoint(_LIST_NAMES)


def _instances_in(value: Json) -> Iterator[Instance]:
    """Yield the instances of a JSON value: an object with an output, a list of these, or an object with such a list.

    A bare object is an instance only if it names an `output` or `class_label`: it may be an answer that is itself JSON.
    """
    if isinstance(value, list):
        for item in value:
            yield from _instance_of(item, _OUTPUT_NAMES)
    elif isinstance(value, dict):
        named = with_plain_names(value)
        listed = next((named[name] for name in _LIST_NAMES if isinstance(named.get(name), (list, dict))), None)
        if listed is None:
            yield from _instance_of(value, _BARE_OUTPUT_NAMES)
        else:
            yield from _instances_in(list(listed.values()) if isinstance(listed, dict) else listed)


def _instance_of(value: Json, output_names: Sequence[str]) -> Iterator[Instance]:
    """Yield the instance in an object; nothing if more than one of its values may be the input."""
    named = with_plain_names(value) if isinstance(value, dict) else {}
    output_name = next((name for name in output_names if name in named), None)
    others = [name for name in named if name != output_name and name not in _REMARK_NAMES]
    if output_name is None or len(others) > 1:
        return
    output = as_text(named[output_name])
    given = named[others[0]] if others else None
    text = "" if given is None else as_text(given)
    if output is not None and text is not None:
        text = tidy_json_value(text)
        yield Instance("" if stands_for_no_input(text) else text, without_talk(tidy_json_value(output)))
