"""Ids of prompts and tasks: `p<prompt>` and `p<prompt>.<position>`; seeds have others."""

import re
from collections.abc import Sequence
from functools import lru_cache

_PROMPT = re.compile("p(0|[1-9][0-9]{0,17})")
_NUMBERED = re.compile("p(0|[1-9][0-9]{0,14})[.](0|[1-9][0-9]{0,2})")
# Laxer than the others, and saved indexes rely on it: any key of this form is under a number, which fits into 64 bits.
_IN_KEY = re.compile(rb"p([0-9]{1,17})(?=[.]|\Z)")
_IN_KEYS = re.compile(rb"^p([0-9]{1,17})(?=[.\n]|\Z)", re.MULTILINE)


# An id is asked about by some ten readers of a process, soon after each other.
@lru_cache(maxsize=8_192)
def numbers_of(task_id: str) -> tuple[int, int] | None:
    """Return prompt and position of a machine task's id, `None` for another id."""
    found = _NUMBERED.fullmatch(task_id)
    return (int(found[1]), int(found[2])) if found is not None else None


def prompt_in(key: bytes) -> int | None:
    """Return the number of the prompt in the id of a prompt or task, `None` for a key that has none."""
    found = _IN_KEY.match(key)
    return int(found[1]) if found is not None else None


def prompts_in(keys: Sequence[bytes]) -> tuple[list[int], bool]:
    """Return the numbers that `prompt_in` finds in keys, each once, and whether there are keys without one."""
    joined = b"\n".join(keys)
    if joined.count(b"\n") >= len(keys):  # they cannot be told apart
        numbers = [prompt_in(key) for key in keys]
        return [number for number in set(numbers) if number is not None], None in numbers
    found = _IN_KEYS.findall(joined)
    return [int(number) for number in set(found)], len(found) < len(keys)


def seq_of(prompt_id: str) -> int | None:
    """Return the sequence number in a prompt id, or `None` if it is not a prompt id."""
    found = _PROMPT.fullmatch(prompt_id)
    return int(found[1]) if found is not None else None
