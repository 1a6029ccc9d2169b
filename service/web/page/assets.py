"""Files of the page in memory: read once, in a worker thread, and sent packed where the browser takes it."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import anyio
from aiohttp import hdrs, web
from aiohttp.typedefs import LooseHeaders
from anyio import to_thread

from service.web.negotiation import accepts_gzip

_FOLDERS = ("static", "charts")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_PACKING_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to send: its bytes, the same bytes packed with gzip, and a tag that changes with them."""

    content_type: str
    body: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, content_type: str, body: bytes) -> "Asset":
        """Pack the bytes of a file; to be called in a worker thread."""
        packed = gzip.compress(body, _PACKING_LEVEL, mtime=0)
        return cls(content_type, body, packed, hashlib.sha256(body).hexdigest()[:32])

    def answer(self, request: web.Request, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return the response to a request for the file; 304 if the browser has these very bytes."""
        known = request.if_none_match or ()
        sent: LooseHeaders = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", **(headers or {})}
        response = web.Response(headers=sent)
        response.etag = self.tag
        if any(each.value in (self.tag, "*") for each in known):
            response.set_status(304)
            return response
        response.headers["Content-Type"] = self.content_type
        if accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING)):
            response.headers["Content-Encoding"] = "gzip"
            response.body = self.packed
        else:
            response.body = self.body
        return response


class Assets:
    """The files of the page by name, `static/NAME` and `charts/NAME`. No other name is a file."""

    def __init__(self) -> None:
        self._files: Mapping[str, Asset] | None = None
        self._reading = anyio.Lock()

    async def find(self, name: str) -> Asset | None:
        """Return a file; None if there is none of this name. The first call reads all files."""
        async with self._reading:
            if self._files is None:
                self._files = await to_thread.run_sync(_read_all)
        return self._files.get(name)


def _read_all() -> Mapping[str, Asset]:
    found: dict[str, Asset] = {}
    for folder in _FOLDERS:
        _read(files(__package__) / folder, folder, found)
    return found


def _read(folder: Traversable, prefix: str, found: dict[str, Asset]) -> None:
    for each in folder.iterdir():
        name = f"{prefix}/{each.name}"
        suffix = each.name[each.name.rfind(".") :]
        if each.is_dir():
            _read(each, name, found)
        elif suffix in _TYPES:
            found[name] = Asset.of(_TYPES[suffix], each.read_bytes())
