"""Splits the body of a stream into lines, and reads them."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from service.client.http.connection import ServiceError
from service.messaging.messages import FinishedTask

_LONGEST_BYTES = 64 * 1024 * 1024


class EndedEarly(Struct, frozen=True):
    """The reason why a service ends a stream before its end."""

    title: str = ""
    detail: str = ""
    status: int = 503


class Line(Struct, frozen=True):
    """A line of a stream: the position behind it, and the task if there is one."""

    id: str | None = None
    task: FinishedTask | None = None
    end: bool = False
    error: EndedEarly | None = None


class Lines:
    """The lines of a body that comes in pieces; a line that is cut off at its end is not one."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._size = 0
        self._read = msgspec.json.Decoder(Line).decode

    def of(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that a piece completes.

        Raises:
            ServiceError: a line is not one of a stream of tasks, or too long.
        """
        *whole, rest = piece.split(b"\n")
        for part in whole:
            line = b"".join((*self._begun, part))
            self._begun, self._size = [], 0
            if line:
                yield self._line(line)
        self._begun.append(rest)
        self._size += len(rest)
        if self._size > _LONGEST_BYTES:
            raise ServiceError(f"a line of the stream has more than {_LONGEST_BYTES:,} bytes", may_pass=False)

    def _line(self, line: bytes) -> Line:
        try:
            return self._read(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ServiceError(
                f"expected a line of a stream of tasks, got another one: {error}", may_pass=False
            ) from error
