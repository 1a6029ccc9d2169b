"""Decodes JSON from servers, which may contain half of a surrogate pair where a token ends within a character."""

import json
from typing import Any

import orjson

from service.selfinstruct.replies.characters import without_lone_surrogates


def decoded(body: bytes) -> Any:
    """Return the value of a JSON text, with U+FFFD for lone surrogates.

    Raises:
        ValueError: the body is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"\\u" not in body:
            raise
        return without_lone_surrogates(json.loads(body))
