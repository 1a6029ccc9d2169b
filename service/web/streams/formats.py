"""The two formats of a stream of tasks: server-sent events, and JSON Lines.

An event or line is complete or not there at all, whatever its text holds: JSON is always one line. A position follows
or stands in each, from which another request can resume.
"""

from typing import Protocol

import msgspec

_LINE_BREAKS_IN_JSON = ((b"\n", b" "), (b"\r", b" "))
# Inside JSON strings alone, and line breaks to many a reader.
_LINE_BREAKS_IN_STRINGS = (
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
    ("\u0085".encode(), rb"\u0085"),
)

_encode = msgspec.json.Encoder().encode


def one_line(value: bytes) -> bytes:
    """Return JSON as one line for every reader: white space loses its line breaks, and strings have theirs escaped."""
    for found, instead in (*_LINE_BREAKS_IN_JSON, *_LINE_BREAKS_IN_STRINGS):
        if found in value:
            value = value.replace(found, instead)
    return value


class Format(Protocol):
    """A way to write a stream. `value` is JSON of one line, `position` the text of an offset vector."""

    content_type: str

    def beginning(self, position: str, retry_ms: int) -> bytes:
        """Return the first bytes: where the stream starts, and when a client should come back after its end."""
        ...

    def task(self, position: str, value: bytes) -> bytes:
        """Return a finished task, and the position behind it."""
        ...

    def heartbeat(self, position: str) -> bytes:
        """Return a sign of life with the position so far."""
        ...

    def end(self, position: str) -> bytes:
        """Return the end of a stream that has sent everything."""
        ...

    def error(self, problem: bytes) -> bytes:
        """Return the reason why a stream ends early, a problem document of one line."""
        ...


class ServerSentEvents:
    """`text/event-stream`, as `EventSource` reads it. A position without data sets the id of the last event alone."""

    content_type = "text/event-stream"

    def beginning(self, position: str, retry_ms: int) -> bytes:
        return f"retry: {retry_ms}\nid: {position}\n\n".encode()

    def task(self, position: str, value: bytes) -> bytes:
        return b"id: %b\nevent: task\ndata: %b\n\n" % (position.encode(), value)

    def heartbeat(self, position: str) -> bytes:
        return f": heartbeat\nid: {position}\n\n".encode()

    def end(self, position: str) -> bytes:
        return b'id: %b\nevent: end\ndata: {"id":%b}\n\n' % (position.encode(), _encode(position))

    def error(self, problem: bytes) -> bytes:
        return b"event: error\ndata: %b\n\n" % problem


class JsonLines:
    """`application/x-ndjson`: each line is an object whose `id` is the position, with `task`, `end` or `error`."""

    content_type = "application/x-ndjson"

    def beginning(self, position: str, retry_ms: int) -> bytes:  # noqa: ARG002 - no field of a line
        return self.heartbeat(position)

    def task(self, position: str, value: bytes) -> bytes:
        return b'{"id":%b,"task":%b}\n' % (_encode(position), value)

    def heartbeat(self, position: str) -> bytes:
        return b'{"id":%b}\n' % _encode(position)

    def end(self, position: str) -> bytes:
        return b'{"id":%b,"end":true}\n' % _encode(position)

    def error(self, problem: bytes) -> bytes:
        return b'{"error":%b}\n' % problem


SERVER_SENT_EVENTS = ServerSentEvents()
JSON_LINES = JsonLines()
