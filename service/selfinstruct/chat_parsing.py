"""Candidates from the replies of chat models: JSON, lists or blocks, with any text around them."""

import json
from collections.abc import Iterator, Sequence

from service.selfinstruct.recipe import Form, Recipe, RecipeName
from service.selfinstruct.replies.blocks import read_blocks
from service.selfinstruct.replies.characters import printable
from service.selfinstruct.replies.chatter import asks_back, is_no_task, is_thinking_aloud
from service.selfinstruct.replies.debris import holds_debris, holds_next_example, holds_numbered_label
from service.selfinstruct.replies.json_text import (
    MOST_OF_A_REPLY,
    Json,
    as_text,
    looks_like_json,
    read_json,
    with_plain_names,
)
from service.selfinstruct.replies.leaks import clean_reply
from service.selfinstruct.replies.lists import read_alone, read_list
from service.selfinstruct.replies.markup import tidy, tidy_json_value, without_list_number
from service.selfinstruct.replies.offers import without_talk
from service.selfinstruct.replies.refusals import is_refusal, is_refused_task
from service.selfinstruct.replies.stand_ins import (
    is_only_marks,
    is_placeholder,
    stands_for_no_input,
    stands_for_no_output,
)
from service.selfinstruct.tasks import Candidate, Instance, Reason

_INSTRUCTION_NAMES = ("instruction", "task", "question", "prompt", "text", "description")
_OUTPUT_NAMES = ("output", "response", "answer")


def parse_chat(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    """Return the candidates of a text reply, in order; the last one is rejected if the reply was truncated.

    Text around the tasks is no candidate, unless there is nothing else.
    """
    text = clean_reply(printable(reply)).strip("\n")
    found = _blocks(recipe, text) if recipe.name is RecipeName.ALPACA else _listed(recipe, text, cut=truncated)
    return _with_cut_end(list(found) or [_judged(recipe, 0, text.strip())], cut=truncated)


def parse_json(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    """Return the candidates of a JSON reply.

    Of a broken or truncated reply, the complete items are candidates, and one rejected candidate stands for the rest.
    A reply in text goes to `parse_chat`.
    """
    text = clean_reply(printable(reply)).strip()
    found = read_json(text)
    key = "tasks" if recipe.name is RecipeName.ALPACA else "instructions"
    items = [item for value in found.values for item in _items_of(value, key, whole=found.share >= MOST_OF_A_REPLY)]
    if not items and not found.broken and not looks_like_json(text):
        return parse_chat(recipe, reply, truncated=truncated)
    candidates = [_from_json(recipe, position, item) for position, item in enumerate(items)]
    if found.broken or not candidates:
        cut = Reason.TRUNCATED if truncated else Reason.MALFORMED
        rest = Reason.EMPTY if not text else cut
        candidates.append(Candidate(len(candidates), "" if candidates else text, rejection=rest))
    return tuple(candidates)


def _listed(recipe: Recipe, text: str, *, cut: bool) -> Iterator[Candidate]:
    first = recipe.human_demonstrations + recipe.machine_demonstrations + 1
    for position, item in enumerate(read_list(text, first, cut=cut, marked=recipe.form is Form.JSON)):
        yield _judged(recipe, position, item.text, readable=item.readable)


def _blocks(recipe: Recipe, text: str) -> Iterator[Candidate]:
    for position, block in enumerate(read_blocks(text)):
        if block.fields is None:
            yield _judged(recipe, position, block.text, readable=False)
        else:
            instruction, given, output = block.fields
            yield _judged(recipe, position, instruction, _instance(given, output))


def _items_of(value: Json, key: str, *, whole: bool) -> Iterator[Json]:
    """Yield the items of a JSON value: those under `key`, which the prompt asked for, else those of its only list.

    `whole` says that JSON is most of the reply; otherwise a list or an object may be a part of some task.
    """
    if isinstance(value, list):
        yield from value if whole else []
    elif isinstance(value, dict) and isinstance(value.get(key), list):
        yield from value[key]
    elif isinstance(value, dict) and isinstance(value.get(key), dict):
        yield from value[key].values()  # numbered, as in {"1": …, "2": …}
    elif isinstance(value, dict) and whole:
        yield from _unnamed_items(value)


def _unnamed_items(value: dict[str, Json]) -> Iterator[Json]:
    """Yield the items of an object without the key asked for: itself, those of its only list, or of its objects."""
    named = with_plain_names(value)
    lists = [each for each in value.values() if isinstance(each, list)]
    if any(isinstance(named.get(name), str) for name in _INSTRUCTION_NAMES):
        yield value
    elif len(lists) == 1:
        yield from lists[0]
    elif value and all(isinstance(each, dict) for each in value.values()):
        for each in value.values():
            yield from _unnamed_items(each)


def _from_json(recipe: Recipe, position: int, item: Json) -> Candidate:
    named = with_plain_names(item) if isinstance(item, dict) else {"instruction": item}
    text = next((named[name] for name in _INSTRUCTION_NAMES if isinstance(named.get(name), str)), None)
    if text is None:
        return Candidate(position, json.dumps(item, ensure_ascii=False), rejection=Reason.MALFORMED)
    if recipe.name is RecipeName.SELF_INSTRUCT:
        listed = read_alone(printable(text))
        return _judged(recipe, position, listed.text, readable=listed.readable)
    given = as_text(named["input"]) if named.get("input") is not None else ""
    output = next((as_text(named[name]) for name in _OUTPUT_NAMES if name in named), None)
    instruction = tidy(without_list_number(printable(text).strip()))
    if given is None or output is None:
        return _judged(recipe, position, instruction, readable=False)
    return _judged(recipe, position, instruction, _instance(tidy_json_value(given), tidy_json_value(output)))


def _instance(given: str, output: str) -> Instance:
    output = without_talk(output)
    nothing = stands_for_no_output(output) or is_only_marks(output) or is_placeholder(output)
    return Instance("" if stands_for_no_input(given) or is_only_marks(given) else given, "" if nothing else output)


def _judged(
    recipe: Recipe, position: int, text: str, instance: Instance | None = None, *, readable: bool = True
) -> Candidate:
    """Return a candidate, with a reason to reject it if it is no task, or more than one."""
    words = " ".join(text.split()) if recipe.name is RecipeName.SELF_INSTRUCT else text.strip()
    instruction = words.capitalize() if recipe.capitalize else words
    rejection = _no_task(recipe, instruction, instance, readable=readable)
    return Candidate(position, instruction, None if rejection is Reason.MALFORMED else instance, rejection)


def _no_task(recipe: Recipe, instruction: str, instance: Instance | None, *, readable: bool) -> Reason | None:
    output = instance.output if instance is not None else ""
    if not instruction:
        return Reason.EMPTY
    if recipe.chat_model and (is_refused_task(instruction) or is_refusal(output)):
        return Reason.REFUSAL
    if recipe.chat_model and (is_no_task(instruction) or asks_back(output) or is_thinking_aloud(output)):
        return Reason.CHATTER
    given = instance.input if instance is not None else ""
    broken = not readable or holds_debris(instruction) or holds_numbered_label(output)
    broken = broken or holds_next_example(output) or holds_next_example(given) or is_placeholder(given)
    return Reason.MALFORMED if broken else None


def _with_cut_end(candidates: Sequence[Candidate], *, cut: bool) -> tuple[Candidate, ...]:
    if not cut:
        return tuple(candidates)
    last = candidates[-1]
    return (*candidates[:-1], Candidate(last.position, last.instruction, rejection=Reason.TRUNCATED))
