"""Follows hints on the log, into the memory of the filter."""

from contextlib import closing

import structlog

from service.errors import DecodeError
from service.messaging import codec
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.skipped_records import SkippedRecords
from service.messaging.topics import HINTS
from service.pool.hints import Hints, WrongHint

_BATCH = 500
_POLL_S = 5.0
# How many past hints are read: those on undecided answers are among the last.
_EARLIER = 2_000

log = structlog.get_logger()


def report_wrong_hint(wrong: WrongHint) -> None:
    """Log the error that a hint of a screen is wrong."""
    log.error(
        "screen.hint_wrong",
        prompt_id=wrong.prompt_id,
        pool_seen=wrong.pool_seen,
        hinted=wrong.hinted,
        found=wrong.found,
        consequence="this process takes no more hints, and searches in full; verdicts are right",
    )


async def follow_hints(broker: Broker, run: str, hints: Hints) -> None:
    """Read hints until cancelled: the last ones of the past, then new ones."""
    name = HINTS.of(run)
    partitions = [Partition(name, number) for number in range(await broker.partitions(name))]
    async with broker.reader(partitions) as reader:
        for partition in partitions:
            end = await broker.end_offset(partition, Isolation.READ_COMMITTED)
            reader.seek(partition, max(0, end - _EARLIER))
        with closing(SkippedRecords(broker)) as skipped:
            while True:
                for record in await reader.poll(_BATCH, _POLL_S):
                    try:
                        hints.take(codec.decode(HINTS, record))
                    except DecodeError as error:
                        skipped.skip("record.unreadable", record, error)
