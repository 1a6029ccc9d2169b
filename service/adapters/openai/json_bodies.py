"""JSON as servers send it: a model writes tokens, and where one ends within a character there is half of it."""

import json
from typing import Any

import orjson

from service.selfinstruct.replies.characters import without_lone_surrogates


def decoded(body: bytes) -> Any:
    """Return the value of a JSON text, with U+FFFD for lone surrogates.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"\\u" not in body:
            raise
        return without_lone_surrogates(json.loads(body))
