"""The files of the batch API: uploaded, listed, read and deleted; they live as long as the simulator."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from aiohttp import BodyPartReader, web

from service.simulator.error_responses import BadRequestError, Refusal, RefusedError

_LARGEST_FILE_BYTES = 210_000_000
_LARGEST_FIELD_BYTES = 1000


class Listed(Protocol):
    """What can be in a list: it is known by an id and describes itself."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    def as_json(self) -> dict[str, object]:
        """Return what a client is told of it."""
        ...


_Entry = TypeVar("_Entry", bound=Listed)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file and what it is for."""

    id: str
    name: str
    purpose: str
    content: bytes = field(repr=False)
    created_at: int = field(default_factory=lambda: int(time.time()))

    def as_json(self) -> dict[str, object]:
        """Return what a client is told of it."""
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
    """All files, in the order in which they came."""

    def __init__(self) -> None:
        self.by_id: dict[str, StoredFile] = {}
        self._stored = 0

    def store(self, name: str, purpose: str, content: bytes) -> StoredFile:
        """Keep a file."""
        self._stored += 1
        stored = StoredFile(f"file-sim-{self._stored}", name, purpose, content)
        self.by_id[stored.id] = stored
        return stored

    def find(self, file_id: str) -> StoredFile:
        """Return a file.

        Raises:
            RefusedError: there is none of that id.
        """
        if file_id not in self.by_id:
            raise RefusedError(Refusal(404, "invalid_request_error", f"No such File object: {file_id}"))
        return self.by_id[file_id]

    def delete(self, file_id: str) -> dict[str, object]:
        """Forget a file and return what the client is told.

        Raises:
            RefusedError: there is none of that id.
        """
        del self.by_id[self.find(file_id).id]
        return {"id": file_id, "object": "file", "deleted": True}


async def uploaded(request: web.Request, files: Files) -> StoredFile:
    """Keep the file in a form.

    Raises:
        RefusedError: the form has not the two fields that it should have, or the file is too large.
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
    """Return a piece of a list, newest first: `limit` entries behind `after`.

    Raises:
        BadRequestError: there is no such piece.
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
