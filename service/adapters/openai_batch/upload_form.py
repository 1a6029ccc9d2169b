"""A multipart form with a file, streamed while it is generated: a file of 200 MB is never in memory as a whole."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Upload:
    """An input file for a batch; `lines` generates its `content_bytes` bytes anew for each attempt.

    `name` must not need quoting in a header.
    """

    name: str
    content_bytes: int
    lines: Callable[[], Iterable[bytes]] = field(repr=False)
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of the form; they include Content-Length, which old servers require."""
        return {"Content-Type": f"multipart/form-data; boundary={self.boundary}", "Content-Length": str(self.size)}

    @property
    def size(self) -> int:
        """Size of the form in bytes."""
        return len(self._head) + self.content_bytes + len(self._tail)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the form in pieces; each call starts at the beginning."""
        yield self._head
        for line in self.lines():
            yield line
        yield self._tail

    @property
    def _head(self) -> bytes:
        return (
            f"--{self.boundary}\r\n"
            'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{self.name}"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        ).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
