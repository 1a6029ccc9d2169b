"""Candidates from a reply. The reply is hostile text: every pattern here takes time linear in its length."""

import re
from typing import assert_never

from service.selfinstruct.recipe import Recipe, RecipeName
from service.selfinstruct.tasks import Candidate, Instance, Reason

_NUMBER = re.compile(r"\n\d++\s?\. ")
_ALPACA_LABEL = re.compile(r"\.\s++(?:Instruction|Input|Output):")
_ALPACA_LABELS = 3


def parse_instructions(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    """Return every piece of a reply, in order, those that the parser refuses included: the count is exact.

    `truncated` says that the model stopped at its token limit: all of a self-instruct reply is refused then, the last
    piece of an Alpaca reply. A blank reply is one candidate. As `post_process_gpt3_response` of both originals.
    """
    match recipe.name:
        case RecipeName.SELF_INSTRUCT:
            return _parse_self_instruct(recipe, reply, truncated=truncated)
        case RecipeName.ALPACA:
            return _parse_alpaca(recipe, reply, truncated=truncated)
        case _:
            assert_never(recipe.name)


def _parse_self_instruct(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    candidates = []
    for position, piece in enumerate(_NUMBER.split(reply)):
        instruction = _cased(recipe, " ".join(piece.split()))
        empty = None if instruction else Reason.EMPTY
        candidates.append(Candidate(position, instruction, rejection=Reason.TRUNCATED if truncated else empty))
    return tuple(candidates)


def _parse_alpaca(recipe: Recipe, reply: str, *, truncated: bool) -> tuple[Candidate, ...]:
    first = recipe.human_demonstrations + recipe.machine_demonstrations + 1
    pieces = f"{first}. Instruction:{reply}".split("###")
    candidates = [_alpaca_candidate(recipe, position, first + position, piece) for position, piece in enumerate(pieces)]
    if truncated:
        candidates[-1] = Candidate(len(pieces) - 1, pieces[-1].strip(), rejection=Reason.TRUNCATED)
    return tuple(candidates)


def _alpaca_candidate(recipe: Recipe, position: int, number: int, piece: str) -> Candidate:
    fields = _alpaca_fields(number, piece)
    if fields is None:
        text = piece.strip()
        return Candidate(position, text, rejection=Reason.MALFORMED if text else Reason.EMPTY)
    instruction, given, output = fields
    instance = Instance("" if given.lower() == "<noinput>" else given, output)
    return Candidate(position, _cased(recipe, instruction), instance)


def _alpaca_fields(number: int, piece: str) -> tuple[str, str, str] | None:
    r"""Return the three texts after the labels `<number>. Instruction:` and so on; None unless there are three labels.

    The same as splitting on `<number>\.\s+(Instruction|Input|Output):` into seven parts, without a pattern for each
    number. Like the original it takes the labels in any order and finds the number at the end of a longer one.
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
    return instruction.capitalize() if recipe.capitalize else instruction
