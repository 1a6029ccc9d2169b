"""The answers to the inputs of one partition: offsets, with the keys of all answers to each.

An answer has the key of its input. That tells the input apart from one at the same offset of an earlier topic of the
same name, which was deleted. Both may have answers, in any order, as the results have several partitions.
"""

from service.messaging.broker import Record

Keys = tuple[bytes | None, ...]
AnswerKeys = dict[int, Keys]

# The key of an answer to whatever is at an offset.
ANY: Keys = (None,)


def note_answer(answered: AnswerKeys, offset: int, key: bytes | None) -> None:
    """Add the key of an answer to an offset."""
    keys = answered.get(offset, ())
    if key not in keys:
        answered[offset] = (*keys, key)


def is_answered(record: Record, keys: Keys) -> bool:
    """Return whether an answer with one of these keys answers a record; a record without a key takes any."""
    return None in keys or record.key in keys or (record.key is None and bool(keys))
