"""Candidates from a reply. The papers' forms are parsed as in the papers' code, other forms by `chat_parsing`.

A reply is hostile text: every pattern here takes time linear in its length.
"""

import re
from typing import assert_never

from service.selfinstruct.recipe import Form, Recipe, RecipeName
from service.selfinstruct.replies.characters import printable
from service.selfinstruct.replies.debris import holds_debris, holds_numbered_label
from service.selfinstruct.replies.markup import LIST_NUMBER
from service.selfinstruct.tasks import Candidate, Instance, Reason

_NUMBER = re.compile(r"\n\d++\s?\. ")
_ALPACA_LABEL = re.compile(r"\.\s++(?:Instruction|Input|Output):")
_ALPACA_LABELS = 3


def parse_instructions(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    """Return one candidate for every piece of a reply, in order, rejected pieces included, so that counts are exact.

    `truncated` says that the model stopped at its token limit. It rejects all of a self-instruct reply in the papers'
    form, and the last piece of any other reply. A blank reply is one candidate. A piece that still holds a list number
    or a label is `MALFORMED`. Follows `post_process_gpt3_response` of both originals.
    """
    if recipe.form is Form.JSON or recipe.chat_model:
        return _parse_chat_model(recipe, reply, truncated=truncated)
    match recipe.name:
        case RecipeName.SELF_INSTRUCT:
            return _parse_self_instruct(recipe, reply, truncated=truncated)
        case RecipeName.ALPACA:
            return _parse_alpaca(recipe, reply, truncated=truncated)
        case _:
            assert_never(recipe.name)


def _parse_chat_model(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    from service.selfinstruct.chat_parsing import parse_chat, parse_json

    parse = parse_json if recipe.form is Form.JSON else parse_chat
    return parse(recipe, reply, truncated=truncated)


def _parse_self_instruct(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    candidates = []
    for position, piece in enumerate(_NUMBER.split(reply)):
        instruction = _cased(recipe, " ".join(piece.split()))
        refused = Reason.TRUNCATED if truncated else _no_task(piece, instruction)
        candidates.append(Candidate(position, instruction, rejection=refused))
    return tuple(candidates)


def _no_task(piece: str, instruction: str) -> Reason | None:
    """Return the reason why a piece of a reply is no task, or more than one; None if it is one task."""
    if not instruction:
        return Reason.EMPTY
    numbered = any(LIST_NUMBER.match(line) for line in piece.split("\n")[1:])
    return Reason.MALFORMED if numbered or holds_debris(instruction) else None


def _parse_alpaca(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    first = recipe.human_demonstrations + recipe.machine_demonstrations + 1
    pieces = f"{first}. Instruction:{reply}".split("###")
    candidates = [_alpaca_candidate(recipe, position, first + position, piece) for position, piece in enumerate(pieces)]
    if truncated:
        candidates[-1] = Candidate(len(pieces) - 1, printable(pieces[-1].strip()), rejection=Reason.TRUNCATED)
    return tuple(candidates)


def _alpaca_candidate(recipe: Recipe, position: int, number: int, piece: str) -> Candidate:
    fields = _alpaca_fields(number, piece)
    if fields is None:
        text = printable(piece.strip())
        return Candidate(position, text, rejection=Reason.MALFORMED if text else Reason.EMPTY)
    instruction, given, output = map(printable, fields)
    instance = Instance("" if given.lower() == "<noinput>" else given, output)
    merged = holds_debris(instruction) or holds_numbered_label(output)
    return Candidate(position, _cased(recipe, instruction), instance, rejection=Reason.MALFORMED if merged else None)


def _alpaca_fields(number: int, piece: str) -> tuple[str, str, str] | None:
    r"""Return the three texts after the labels `<number>. Instruction:` and so on; None unless there are three labels.

    Equivalent to a split on `<number>\.\s+(Instruction|Input|Output):` into seven parts, without a pattern for each
    number. Like the original, it accepts the labels in any order and finds the number at the end of a longer one.
    """
    digits = str(number)
    labels = [label for label in _ALPACA_LABEL.finditer(piece) if piece.endswith(digits, 0, label.start())]
    if len(labels) != _ALPACA_LABELS:
        return None
    first, second, third = labels
    return (
        piece[first.end() : second.start() - len(digits)].strip(),
        piece[second.end() : third.start() - len(digits)].strip(),
        piece[third.end() :].strip(),
    )


def _cased(recipe: Recipe, instruction: str) -> str:
    return printable(instruction.capitalize() if recipe.capitalize else instruction)
