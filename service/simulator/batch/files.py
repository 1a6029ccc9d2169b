"""File storage of the batch API: upload, list, read and delete. Files live in memory, as long as the simulator."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from aiohttp import BodyPartReader, web

from service.simulator.error_responses import BadRequestError, Refusal, RefusedError

_LARGEST_FILE_BYTES = 210_000_000
_LARGEST_FIELD_BYTES = 1000


class Listed(Protocol):
    """An object that the list endpoints can return."""

    @property
    def id(self) -> str:
        """The id of the object, which also serves as the cursor `after`."""
        ...

    def as_json(self) -> dict[str, object]:
        """Return the object as the API describes it."""
        ...


_Entry = TypeVar("_Entry", bound=Listed)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file; `purpose` is `batch` for an input file and `batch_output` for results, `created_at` is Unix time."""

    id: str
    name: str
    purpose: str
    content: bytes = field(repr=False)
    created_at: int = field(default_factory=lambda: int(time.time()))

    def as_json(self) -> dict[str, object]:
        """Return the API's file object, without the content."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


class Files:
    """All files, in the order of their creation."""

    def __init__(self) -> None:
        self.by_id: dict[str, StoredFile] = {}
        self._stored = 0

    def store(self, name: str, purpose: str, content: bytes) -> StoredFile:
        """Store a file under a new id."""
        self._stored += 1
        stored = StoredFile(f"file-sim-{self._stored}", name, purpose, content)
        self.by_id[stored.id] = stored
        return stored

    def find(self, file_id: str) -> StoredFile:
        """Return the file with this id.

        Raises:
            RefusedError: no file has this id.
        """
        if file_id not in self.by_id:
            raise RefusedError(Refusal(404, "invalid_request_error", f"No such File object: {file_id}"))
        return self.by_id[file_id]

    def delete(self, file_id: str) -> dict[str, object]:
        """Delete a file and return the API's confirmation.

        Raises:
            RefusedError: no file has this id.
        """
        del self.by_id[self.find(file_id).id]
        return {"id": file_id, "object": "file", "deleted": True}


async def uploaded(request: web.Request, files: Files) -> StoredFile:
    """Store the file of a multipart form.

    Raises:
        RefusedError: the form lacks a file or the purpose `batch`, or a field is too large.
    """
    if request.content_type != "multipart/form-data":
        raise BadRequestError(f"the body is {request.content_type}; expected multipart/form-data with purpose and file")
    purpose, name, content = "", "", None
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "purpose":
            purpose = (await _read(part, _LARGEST_FIELD_BYTES)).decode(errors="replace")
        elif isinstance(part, BodyPartReader) and part.name == "file":
            name, content = part.filename or "", await _read(part, _LARGEST_FILE_BYTES)
    if content is None or purpose != "batch":
        raise BadRequestError(f"purpose is {purpose!r}; expected batch, and a file beside it")
    return files.store(name, purpose, content)


def page(entries: Sequence[_Entry], request: web.Request, most: int) -> dict[str, object]:
    """Return one page of a list, newest first: up to `limit` entries behind `after`, both from the query string.

    Raises:
        BadRequestError: `limit` is out of range, or `after` is not in the list.
    """
    newest = list(reversed(entries))
    after, limit = request.query.get("after"), request.query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise BadRequestError(f"limit is {limit!r}; expected a number from 1 to {most}")
    places = {entry.id: place for place, entry in enumerate(newest)}
    if after is not None and after not in places:
        raise BadRequestError(f"after is {after!r}, which is not in the list")
    first = places[after] + 1 if after is not None else 0
    shown = newest[first : first + int(limit)]
    return {
        "object": "list",
        "data": [entry.as_json() for entry in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": first + len(shown) < len(newest),
    }


async def _read(part: BodyPartReader, most: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk():
        content += chunk
        if len(content) > most:
            raise RefusedError(Refusal(413, "invalid_request_error", f"{part.name} is larger than {most} bytes."))
    return bytes(content)
