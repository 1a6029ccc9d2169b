"""Tells why a reader gets nothing on its way to the ends of its partitions; without a reason, the wait is an error."""

from collections.abc import Sequence

import anyio
import structlog

from service.errors import BrokerError
from service.messaging.broker import Broker, Isolation, Partition, Reader

# Kafka grants no transaction more than 15 minutes (`transaction.max.timeout.ms`), and aborts it then.
_LONGEST_TRANSACTION_S = 960.0

log = structlog.get_logger()


class Silence:
    """Looks at the ends of partitions whenever a reader has got nothing for `period_s`.

    The answer to a look may come at the end of an outage, before the reader has had a chance to read. So it is an error
    only if two looks, with a period between them, find records that the reader did not get.
    """

    def __init__(self, broker: Broker, reader: Reader, partitions: Sequence[Partition], period_s: float) -> None:
        self._broker = broker
        self._reader = reader
        self._partitions = partitions
        self._period_s = period_s
        self._moved_to: dict[Partition, int] = {}
        self._moved_s = self._looked_s = anyio.current_time()
        self._was_behind = False

    async def check(self) -> None:
        """Note where the reader is; call this after each of its polls.

        Raises:
            BrokerError: the reader does not get on, and no open transaction explains it, or one that has been open for
                longer than Kafka allows.
        """
        positions = {partition: self._reader.position(partition) for partition in self._partitions}
        now_s = anyio.current_time()
        if positions != self._moved_to:
            self._moved_to, self._was_behind = positions, False
            self._moved_s = self._looked_s = now_s
        elif now_s - self._looked_s >= self._period_s:
            await self._look(now_s - self._moved_s)
            self._looked_s = anyio.current_time()

    async def _look(self, silent_s: float) -> None:
        ends = await self._broker.end_offsets(self._partitions, Isolation.READ_COMMITTED)
        for partition, readable in ends.items():
            if self._moved_to[partition] < readable:
                self._note_behind(partition, readable, silent_s)
                return
        self._was_behind = False
        if silent_s > _LONGEST_TRANSACTION_S:
            raise BrokerError(
                f"{', '.join(map(str, self._partitions))}: expected the end of a transaction that hides later records; "
                f"it has been open for {silent_s:.0f} s, longer than Kafka allows"
            )
        log.warning("records.hidden_by_open_transaction", silent_s=round(silent_s))

    def _note_behind(self, partition: Partition, readable: int, silent_s: float) -> None:
        if self._was_behind:
            raise BrokerError(
                f"{partition}: expected records up to offset {readable}, got none for {silent_s:.0f} s behind "
                f"{self._moved_to[partition]}"
            )
        self._was_behind = True
