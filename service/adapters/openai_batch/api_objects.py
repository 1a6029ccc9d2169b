"""Batch and file objects of the API, and their parsers. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import orjson

from service.lm.errors import AttemptFailedError, Failing

Entry = TypeVar("Entry")

RUN = "seedstream_run"

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_NAME = "seedstream-{run}-{digest}.jsonl"
_DIGEST_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Wrong:
    """An error of a failed batch; `line` counts from 1 and is None if the error concerns no single line."""

    code: str
    message: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """The state of a batch; `run` is the run named in its metadata, None if they name none."""

    id: str
    status: str
    created_at: float
    input_file_id: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    run: str | None = None
    wrong: tuple[Wrong, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in _ENDED


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file on the server; `created_at` is Unix time."""

    id: str
    name: str
    created_at: float
    status: str
    status_details: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry]):
    """One page of a list; `next` is the cursor of the next page, None on the last one."""

    entries: list[Entry]
    next: str | None


def file_name(run: str, digest: str) -> str:
    """Return the name of an input file: the run, percent-encoded, and the first 16 hex digits of a digest."""
    return _NAME.format(run=quote(run, safe=""), digest=digest[:_DIGEST_LETTERS])


def is_ours(name: str, run: str) -> bool:
    """Tell whether a file name has the form of this run's input files."""
    pattern = _NAME.format(run=re.escape(quote(run, safe="")), digest=f"[0-9a-f]{{{_DIGEST_LETTERS}}}")
    return re.fullmatch(pattern, name) is not None


def read_batch(entry: Mapping[str, Any]) -> Batch:
    """Parse a batch object.

    Raises:
        AttemptFailedError: a required field is missing or has the wrong type.
    """
    metadata, errors = entry.get("metadata"), entry.get("errors")
    run = metadata.get(RUN) if isinstance(metadata, dict) else None
    wrong = errors.get("data") if isinstance(errors, dict) else None
    return Batch(
        id=_text(entry, "id"),
        status=_text(entry, "status"),
        created_at=_number(entry, "created_at"),
        input_file_id=_text(entry, "input_file_id"),
        output_file_id=_optional(entry, "output_file_id"),
        error_file_id=_optional(entry, "error_file_id"),
        run=run if isinstance(run, str) else None,
        wrong=tuple(_wrong(one) for one in wrong if isinstance(one, dict)) if isinstance(wrong, list) else (),
    )


def read_file(entry: Mapping[str, Any]) -> StoredFile:
    """Parse a file object.

    Raises:
        AttemptFailedError: a required field is missing or has the wrong type.
    """
    return StoredFile(
        id=_text(entry, "id"),
        name=str(entry.get("filename") or ""),
        created_at=_number(entry, "created_at"),
        status=str(entry.get("status") or ""),
        status_details=str(entry.get("status_details") or ""),
    )


def read_page(body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Entry]) -> Page[Entry]:
    """Parse one page of a list, without the entries that cannot be parsed: they are not ours."""
    listed = body.get("data")
    objects = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    last = _optional(objects[-1], "id") if objects and body.get("has_more") is True else None
    return Page(list(_readable(objects, read)), last)


def read_object(body: bytes) -> dict[str, Any]:
    """Parse the body of a response as a JSON object.

    Raises:
        AttemptFailedError: the body is not a JSON object.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _lacking(f"JSON ({error})") from error
    if not isinstance(answer, dict):
        raise _lacking("a JSON object")
    return answer


def _readable(entries: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Entry]) -> Iterator[Entry]:
    for entry in entries:
        with suppress(AttemptFailedError):
            yield read(entry)


def _wrong(entry: Mapping[str, Any]) -> Wrong:
    line = entry.get("line")
    return Wrong(str(entry.get("code") or ""), str(entry.get("message") or ""), line if isinstance(line, int) else None)


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise _lacking(f"a string in `{name}`")
    return value


def _optional(entry: Mapping[str, Any], name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) and value else None


def _number(entry: Mapping[str, Any], name: str) -> float:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _lacking(f"a number in `{name}`")
    return float(value)


def _lacking(expected: str) -> AttemptFailedError:
    return AttemptFailedError(Failing.INVALID_BODY, f"The server answered about a batch or file without {expected}.")
