"""Records as a newer version of Seedstream would write them."""

import json
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from service.messaging import codec
from service.messaging.broker import NewRecord
from service.messaging.messages import Message
from service.messaging.topics import Topic
from tests.support.logs import RUN

_HEADERS = (("ce_type", b"io.seedstream.unheard-of.v1"), ("seedstream_version", b"99.0.0"))


def changed(message: Message, change: Callable[[dict[str, Any]], object]) -> NewRecord:
    """Return the record of a message with a change to its value."""
    record = codec.encode(message, RUN)
    value = json.loads(record.value or b"")
    change(value)
    return replace(record, value=json.dumps(value).encode())


def by_newer(topic: Topic[Message], key: bytes = b"new") -> NewRecord:
    """Return a record of a type that this version does not know."""
    return NewRecord(topic.of(RUN), b'{"new":true}', key=key, headers=_HEADERS)
