"""Warnings about records that are skipped: one for each topic and kind, then their number.

A command opens its log once and may read a topic several times, so the readers of a broker share their warnings.
"""

from collections import Counter
from weakref import WeakKeyDictionary

import structlog

from service.errors import DecodeError
from service.messaging.broker import Record

log = structlog.get_logger()


# The largest number of skipped records that has been logged, by event and topic.
_said: "WeakKeyDictionary[object, Counter[tuple[str, str]]]" = WeakKeyDictionary()


class SkippedRecords:
    """The records that one reader has skipped.

    Readers with the same `owner`, a broker, share their warnings: the first record of a topic is logged at once, unless
    another reader has logged one, and `close` logs how many there were, unless another reader has found as many.
    """

    def __init__(self, owner: object) -> None:
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._said = _said.setdefault(owner, Counter())

    @property
    def total(self) -> int:
        """Number of records skipped so far."""
        return self._numbers.total()

    def skip(self, event: str, record: Record, error: DecodeError) -> None:
        """Count a record that cannot be read, and log the first of its topic."""
        kind = (event, record.partition.topic)
        self._numbers[kind] += 1
        if kind not in self._said:
            self._said[kind] = 1
            log.warning(event, error=str(error))

    def close(self) -> None:
        """Log the number of skipped records of each topic, if it is larger than the number logged before."""
        for kind, number in self._numbers.items():
            if number > self._said[kind]:
                self._said[kind] = number
                event, topic = kind
                log.warning(event, topic=topic, records=number)
