"""Reads the token counts that a server reports. Pure.

Nothing is estimated. Servers count differently: OpenAI's completion tokens include reasoning tokens; xAI's do not, as
the total shows.
"""

from collections.abc import Mapping
from typing import Any

from service.lm.usage import Usage


def read_usage(stated: object) -> Usage | None:
    """Return the usage from the `usage` field of a response, or `None` if it is missing or malformed."""
    if not isinstance(stated, dict):
        return None
    prompt, completion = _count(stated, "prompt_tokens"), _count(stated, "completion_tokens")
    if prompt is None or completion is None:
        return None
    cached = _detail(stated, "prompt_tokens_details", "cached_tokens", "prompt_cache_hit_tokens")
    reasoning = _detail(stated, "completion_tokens_details", "reasoning_tokens", "reasoning_tokens")
    if reasoning and _count(stated, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    return Usage(prompt, completion, min(cached, prompt), min(reasoning, completion))


def _detail(stated: Mapping[str, Any], details: str, name: str, beside: str) -> int:
    """Return a count from the nested details (OpenAI and most servers) or from the top level (DeepSeek, SGLang)."""
    inner = stated.get(details)
    found = _count(inner, name) if isinstance(inner, dict) else None
    return found or _count(stated, beside) or _count(stated, name) or 0


def _count(stated: Mapping[str, Any], name: str) -> int | None:
    """Return a token count, or `None` if it is not a non-negative integer; booleans are rejected."""
    value = stated.get(name)
    return value if type(value) is int and value >= 0 else None
