"""Ids of prompts and tasks: `p<prompt>` and `p<prompt>.<position>`; seeds have others."""

import re

_NUMBERED = re.compile("p(0|[1-9][0-9]{0,14})[.](0|[1-9][0-9]{0,2})")


def numbers_of(task_id: str) -> tuple[int, int] | None:
    """Return prompt and position of a machine task's id, `None` for another id."""
    found = _NUMBERED.fullmatch(task_id)
    return (int(found[1]), int(found[2])) if found is not None else None
