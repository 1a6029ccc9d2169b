"""Hints as they come, from the log into the filter's memory, beside its work."""

import structlog

from service.errors import DecodeError
from service.messaging import codec
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.topics import HINTS
from service.pool.hints import Hints, WrongHint

_BATCH = 500
_POLL_S = 0.2
# How many of the past are read: those on what the filter has not decided are among the last.
_EARLIER = 2_000

log = structlog.get_logger()


def tell_of(wrong: WrongHint) -> None:
    """Raise the alarm: a screen has said something that is not so."""
    log.error(
        "screen.hint_wrong",
        prompt_id=wrong.prompt_id,
        pool_seen=wrong.pool_seen,
        hinted=wrong.hinted,
        found=wrong.found,
        consequence="this process takes no more hints, and searches in full; verdicts are right",
    )


async def follow_hints(broker: Broker, run: str, hints: Hints) -> None:
    """Take hints into a memory until cancelled: the last ones of the past, then what comes."""
    name = HINTS.of(run)
    partitions = [Partition(name, number) for number in range(await broker.partitions(name))]
    async with broker.reader(partitions) as reader:
        for partition in partitions:
            end = await broker.end_offset(partition, Isolation.READ_COMMITTED)
            reader.seek(partition, max(0, end - _EARLIER))
        while True:
            for record in await reader.poll(_BATCH, _POLL_S):
                try:
                    hints.take(codec.decode(HINTS, record))
                except DecodeError as error:
                    log.warning("record.unreadable", error=str(error))
