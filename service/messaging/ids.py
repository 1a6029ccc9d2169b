"""Ids of prompts and tasks: `p<prompt>` and `p<prompt>.<position>`; seeds have others."""

import re
from functools import lru_cache

_PROMPT = re.compile("p(0|[1-9][0-9]{0,17})")
# Numbers with so many digits fit into 64 bits.
_LONGEST = 18
_NUMBERED = re.compile("p(0|[1-9][0-9]{0,14})[.](0|[1-9][0-9]{0,2})")


# An id is asked about by some ten readers of a process, soon after each other.
@lru_cache(maxsize=8_192)
def numbers_of(task_id: str) -> tuple[int, int] | None:
    """Return prompt and position of a machine task's id, `None` for another id."""
    found = _NUMBERED.fullmatch(task_id)
    return (int(found[1]), int(found[2])) if found is not None else None


def prompt_in(key: bytes) -> int | None:
    """Return the number of the prompt in the id of a prompt or task, `None` for a key that has none."""
    head = key.partition(b".")[0]
    if head[:1] == b"p" and head[1:].isdigit() and len(head) <= _LONGEST:
        return int(head[1:])
    return None


def seq_of(prompt_id: str) -> int | None:
    """Return the sequence number in a prompt id, or `None` if it is not a prompt id."""
    match = _PROMPT.fullmatch(prompt_id)
    return int(match[1]) if match is not None else None
