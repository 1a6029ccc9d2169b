"""Errors as servers write them, and the exceptions that the adapter makes of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from service.adapters.openai.error_response import refusal_of
from service.lm.errors import LanguageModelError

_NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def openai(message: str, code: object = None, kind: object = "invalid_request_error", **more: object) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def error_of(status: int, body: object, headers: Mapping[str, str] | None = None) -> LanguageModelError:
    """Return the exception for an answer. A body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return refusal_of("http://host/v1/completions", status, headers or {}, raw, (), _NOW).as_error()
