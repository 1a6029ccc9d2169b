"""Tokens, as a server counted them."""

from msgspec import Struct


class Usage(Struct, frozen=True, gc=False):
    """Tokens of one or several answers; cached ones are part of the prompt's, reasoning ones of the completion's."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


def added(one: Usage | None, other: Usage | None) -> Usage | None:
    """Return the sum of two counts, or none if both are missing."""
    return one + other if one is not None and other is not None else one or other
