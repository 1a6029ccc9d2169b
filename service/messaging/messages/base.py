"""The base class of messages."""

from types import NoneType
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

# The default of an optional field that is written as null. A class with `omit_defaults` leaves out fields that have
# their default, and takes no notice of defaults that a factory makes.
NULL: Any = msgspec.field(default_factory=NoneType)
# The same for an empty list.
NONE: Any = msgspec.field(default_factory=lambda: ())

_encoder = msgspec.json.Encoder()


class Message(Struct, frozen=True, gc=False):
    """Base class of record values; `ce_type` is the CloudEvents type, `key_field` the field that becomes the key.

    A version stops at a type `io.seedstream.…` that it does not know, since its view of the run would be wrong. Types
    `io.seedstream-optional.…` are for records that it may pass over.

    Messages have no cycles, so that Python's garbage collection leaves them out.
    """

    ce_type: ClassVar[str]
    key_field: ClassVar[str] = "id"

    @property
    def key(self) -> str:
        """Record key: the value of the field that `key_field` names."""
        key: str = getattr(self, self.key_field)
        return key

    def to_json(self) -> bytes:
        """Return the message as JSON, as it is in a record."""
        return _encoder.encode(self)

    @classmethod
    def check_json(cls, value: bytes) -> None:
        """Refuse the JSON of a message whose fields have the right types, and which must not be acted on.

        Raises:
            ValueError: a newer version has set a field that a decision depends on.
        """


class AboutPrompt(Message, frozen=True, kw_only=True):
    """Base class of messages that follow from a prompt."""

    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
