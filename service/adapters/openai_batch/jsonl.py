"""The JSON lines of a batch: requests in its input file, results in its output and error files. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from service.adapters.openai.json_bodies import decoded
from service.lm.errors import AttemptFailedError, Failing

# Longer than any completion (a live answer may have 8 MiB) with the envelope around it.
_MAX_LINE_BYTES = 9 * 1024 * 1024
_OK = 200


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one request: status and body, as of a live response. Without a status, it was not executed.

    `custom_id` is the name of the request.
    """

    custom_id: str
    status: int | None
    body: bytes

    @property
    def is_answer(self) -> bool:
        """Whether the status is 200: the model has answered. No other result is worth keeping."""
        return self.status == _OK


def custom_id(body: bytes) -> str:
    """Return the name of a request, the SHA-256 of its body in hex: equal requests have one name in every process."""
    return hashlib.sha256(body).hexdigest()


def request_line(name: str, path: str, body: bytes) -> bytes:
    """Return the line of an input file for one request, with its line feed."""
    request = {"custom_id": name, "method": "POST", "url": path, "body": orjson.Fragment(body)}
    return orjson.dumps(request, option=orjson.OPT_APPEND_NEWLINE)


def envelope_bytes(path: str) -> int:
    """Return the size of a request line without its body in bytes, which is the same for all requests."""
    return len(request_line(custom_id(b""), path, b"{}")) - len(b"{}")


def read_name(line: bytes) -> str | None:
    """Return the name of the request in a line of an input file, None if the line has no `custom_id`."""
    return _name(_object(line))


def read_result(line: bytes) -> Result | None:
    """Return the result in a line of an output or error file, None if the line has no `custom_id`."""
    entry = _object(line)
    name = _name(entry)
    if name is None:
        return None
    response = entry.get("response")
    status = response.get("status_code") if isinstance(response, dict) else None
    if isinstance(response, dict) and isinstance(status, int):
        return Result(name, status, _body(response.get("body")))
    return Result(name, None, orjson.dumps({"error": entry.get("error")}))


class Splitter:
    """Splits a stream of bytes into lines; an unfinished line is buffered."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def lines(self, chunk: bytes) -> Sequence[bytes]:
        """Return the lines that this chunk completes, without empty ones.

        Raises:
            AttemptFailedError: a line is longer than any result.
        """
        first, *others = chunk.split(b"\n")
        self._rest += first
        if len(self._rest) > _MAX_LINE_BYTES:
            message = (
                f"A line of a file of the server is longer than {_MAX_LINE_BYTES} bytes, more than any completion."
            )
            raise AttemptFailedError(Failing.INVALID_BODY, message)
        if not others:
            return ()
        ended = (bytes(self._rest), *others[:-1])
        self._rest = bytearray(others[-1])
        return [line for line in ended if line.strip()]


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        entry = decoded(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _name(entry: Mapping[str, Any]) -> str | None:
    name = entry.get("custom_id")
    return name if isinstance(name, str) else None


def _body(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else orjson.dumps(body)
