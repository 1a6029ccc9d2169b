"""The records that a fold's own process writes: remembered at their commit, and passed before a checkpoint."""

from collections.abc import Callable, Sequence

import structlog

from service.messaging import codec
from service.messaging.broker import Record
from service.messaging.topic_reader import Tail

log = structlog.get_logger()


class OwnRecords:
    """Counts the records that the fold with this name remembers and its reader has not passed.

    Nobody else may write such records. If the reader meets others, which the fold lacks, no checkpoint is right again.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._unread = 0
        self._is_certain = True

    def remember(self, count: int) -> None:
        """Note that `count` more were committed, and remembered."""
        self._unread += count

    async def passed_by(self, tail: Tail, look: Callable[[Sequence[Record]], None] = lambda _: None) -> bool:
        """Move a reader behind them, without decoding; `look` gets them. Returns whether there were those alone."""
        expected, self._unread = self._unread, 0
        if expected and self._is_certain:
            met = 0
            async for records in tail.record_batches_to_end():
                met += sum(map(codec.is_ours, records))
                look(records)
            self._is_certain = met == expected
            if not self._is_certain:
                log.warning("checkpoint.not_written", stage=self._name, expected=expected, found=met)
        return self._is_certain
