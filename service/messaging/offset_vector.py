"""Offset vectors: the place of a reader in a topic, as the next offset to read of each partition.

As text, `PARTITION-OFFSET.PARTITION-OFFSET…` with ascending partitions; those at offset 0 are left out, and a vector
without any other is `0-0`. The text consists of digits, `-` and `.`, and is safe in a URL and in a header.
"""

import re
from collections.abc import Mapping

from service.errors import ConfigurationError

Vector = Mapping[int, int]

BEGINNING = "0-0"
# Kafka's partition numbers have 31 bits and its offsets 63.
_PART = re.compile(r"(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,18})")
_MOST_CHARACTERS = 32_768


def vector_text(vector: Vector) -> str:
    """Return a vector as text; equal places have equal texts."""
    return ".".join(f"{number}-{offset}" for number, offset in sorted(vector.items()) if offset) or BEGINNING


def parse_vector(text: str) -> dict[int, int]:
    """Return the vector of a text, without partitions at offset 0.

    Raises:
        ConfigurationError: the text is not that of a vector.
    """
    parts = [_PART.fullmatch(part) for part in text[:_MOST_CHARACTERS].split(".")]
    found = [(int(part[1]), int(part[2])) for part in parts if part is not None]
    vector = {number: offset for number, offset in found if offset}
    if len(found) < len(parts) or vector_text(vector) != text:
        raise ConfigurationError(
            "position: expected PARTITION-OFFSET.PARTITION-OFFSET… with ascending partitions and without those at "
            f"offset 0, or {BEGINNING} for the beginning; got {text[:80]!r}. Pass a position as a stream sent it"
        )
    return vector


def covers(vector: Vector, other: Vector) -> bool:
    """Return whether a vector is at or behind another one in every partition."""
    return all(vector.get(number, 0) >= offset for number, offset in other.items())


def later_of(one: Vector, other: Vector) -> dict[int, int]:
    """Return the elementwise maximum of two vectors."""
    return dict(one) | {number: max(offset, one.get(number, 0)) for number, offset in other.items()}
