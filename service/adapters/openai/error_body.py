"""Parses error bodies, which differ in shape between servers. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct

_SHOWN_CHARACTERS = 300
# A server that quotes the prompt does so at the end, so text beyond this limit does not describe the error.
_READ_CHARACTERS = 1_000


class ErrorBody(Struct, frozen=True):
    """The content of an error body.

    `message` is text for people and may quote the prompt. `codes` holds code, type and status in one string.
    `parameter` is the request parameter that the server names as the cause, or empty.
    """

    message: str
    codes: str = ""
    parameter: str = ""


def shown(words: str, secrets: tuple[str, ...]) -> str:
    """Return a server's text on one line, at most 300 characters, without control characters, with secrets masked."""
    for secret in secrets:
        words = words.replace(secret, "***")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"


def words_of(error: Exception) -> str:
    """Return the type and the text of a connection's error: of one that was refused, the system's own text."""
    cause = getattr(error, "os_error", error)
    return f"{type(error).__name__}: {cause}"


def read_error_body(body: bytes) -> ErrorBody:
    """Parse an error body; one that is not JSON becomes the message."""
    try:
        return error_body_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        return ErrorBody(body[: 4 * _READ_CHARACTERS].decode(errors="replace")[:_READ_CHARACTERS])


def error_body_of(reply: object) -> ErrorBody:
    """Read a decoded error body in OpenAI's shape, a flat one, TGI's, FastAPI's, or Gemini's list."""
    if isinstance(reply, list) and len(reply) == 1:
        reply = reply[0]
    if not isinstance(reply, dict):
        return ErrorBody(_text(reply))
    if isinstance(reply.get("detail"), list):
        return _of_fields(reply["detail"])
    error = reply.get("error") or reply.get("detail") or reply
    if not isinstance(error, dict):
        return ErrorBody(_text(error), _codes(reply))
    inner, metadata = _dict(error.get("innererror")), _dict(error.get("metadata"))
    words = [error.get("message", error), metadata.get("raw")]
    return ErrorBody(
        " ".join(_text(part) for part in words if part)[:_READ_CHARACTERS],
        " ".join(filter(None, map(_codes, (error, inner, metadata)))),
        _string(error.get("param")),
    )


def _of_fields(faults: list[Any]) -> ErrorBody:
    """Read FastAPI's list of field errors: the first one, and the name of its field."""
    first = _dict(faults[0]) if faults else {}
    place = first.get("loc")
    names = [name for name in place if isinstance(name, str) and name != "body"] if isinstance(place, list) else []
    return ErrorBody(f"{'.'.join(names)}: {_text(first.get('msg'))}", _codes(first), names[0] if names else "")


def _codes(error: Mapping[str, Any]) -> str:
    found = (error.get(name) for name in ("code", "type", "error_type", "status"))
    return " ".join(str(code) for code in found if isinstance(code, str | int))


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text(value: object) -> str:
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:_READ_CHARACTERS]
