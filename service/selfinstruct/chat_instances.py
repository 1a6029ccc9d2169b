"""Instances from the replies of chat models: as JSON, or as text with labels of many kinds."""

from collections.abc import Iterator

from service.selfinstruct.chat_parsing import as_text, looks_like_json
from service.selfinstruct.replies.characters import printable
from service.selfinstruct.replies.chatter import is_refusal
from service.selfinstruct.replies.json_text import Json, read_json
from service.selfinstruct.replies.leaks import clean_reply
from service.selfinstruct.replies.markup import stands_for_no_input, tidy_value
from service.selfinstruct.replies.pairs import read_labelled_pairs, read_pairs
from service.selfinstruct.tasks import Instance

_LIST_NAMES = ("instances", "examples")
_OUTPUT_NAMES = ("output", "class_label", "label", "answer", "response")
_INPUT_NAMES = ("input", "text", "context")


def parse_chat_instances(reply: str, *, is_classification: bool, truncated: bool) -> list[Instance]:
    """Return the instances in a text; without the last one where the reply was cut.

    A refusal is an output like any other here: whoever selects says so.
    """
    text = clean_reply(printable(reply)).strip()
    pairs = read_labelled_pairs(text) if is_classification else read_pairs(text)
    if is_classification and not pairs and is_refusal(text):
        pairs = [("", text)]
    return [Instance(*pair) for pair in (pairs[:-1] if truncated else pairs)]


def parse_json_instances(reply: str, *, is_classification: bool, truncated: bool) -> list[Instance]:
    """Return the instances in a JSON answer, or in a text where the model answers in text all the same."""
    text = clean_reply(printable(reply)).strip()
    found = read_json(text)
    instances = [instance for value in found.values for instance in _instances_in(value)]
    if not instances and not found.broken and not looks_like_json(text):
        return parse_chat_instances(reply, is_classification=is_classification, truncated=truncated)
    return instances


def _instances_in(value: Json) -> Iterator[Instance]:
    """Yield the instances of a JSON value: an object with an output, a list of them, or what holds such a list."""
    if isinstance(value, list):
        for item in value:
            yield from _instance_of(item)
    elif isinstance(value, dict):
        listed = next((value[name] for name in _LIST_NAMES if isinstance(value.get(name), list)), None)
        yield from _instance_of(value) if listed is None else _instances_in(listed)


def _instance_of(value: Json) -> Iterator[Instance]:
    named = value if isinstance(value, dict) else {}
    output = next((as_text(named[name]) for name in _OUTPUT_NAMES if name in named), None)
    given = next((named[name] for name in _INPUT_NAMES if name in named), None)
    text = "" if given is None else as_text(given)
    if output is not None and text is not None:
        text = tidy_value(text)
        yield Instance("" if stands_for_no_input(text) else text, tidy_value(output))
