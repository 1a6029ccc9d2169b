"""Thinking that a model writes before its answer, where no parser of the server took it out. Pure."""

_OPENING, _CLOSING = "<think>", "</think>"

# What stands for thinking that a server keeps in a field of its own; it is never taken for an answer.
ONLY_THINKING = _OPENING


def without_thinking(text: str) -> str | None:
    """Return the answer without the thinking before it; none where the thinking never ended.

    The opening is missing where the chat template writes it; the closing then stands alone.
    """
    before, closed, answer = text.partition(_CLOSING)
    if before.lstrip().startswith(_OPENING):
        return answer.lstrip() if closed else None
    return answer.lstrip() if closed and _OPENING not in before else text
