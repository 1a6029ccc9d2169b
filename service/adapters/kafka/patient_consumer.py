"""A consumer of aiokafka whose fetches cost little while nothing is written."""

import time
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup

from service.adapters.kafka import header_names

# A broker answers one fetch of a consumer at a time, and a fetch leaves out paused partitions and those whose records
# are not taken yet. A fetch that waits long for the others would delay the next one for these.
_WAIT_MS = 100
# While a poll waits and nothing is paused, the fetch is for all partitions; it ends at once when a record is written.
# A partition whose leader moves to another broker waits for the fetch there to end.
_WAIT_IDLE_MS = 15_000
_IDLE_AFTER_S = 3.0

header_names.allow_any()


class PatientConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose fetches wait long at the brokers during a poll if nothing has come for some seconds."""

    def __init__(self, **options: object) -> None:
        super().__init__(fetch_max_wait_ms=_WAIT_MS, **options)
        self._found_s = time.monotonic()

    async def getmany(self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        """Return the next records by partition, at most `max_records`."""
        is_idle = time.monotonic() - self._found_s > _IDLE_AFTER_S and not self.paused()
        self._wait_at_brokers(_WAIT_IDLE_MS if is_idle else _WAIT_MS)
        try:
            found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        finally:
            self._wait_at_brokers(_WAIT_MS)
        if found:
            self._found_s = time.monotonic()
        return found

    def drop_abandoned_fetches(self) -> None:
        """Close the connections on which a broker still holds a fetch that aiokafka has cancelled at a rebalance.

        A broker answers the requests of a connection one by one: those for gained partitions would wait for that fetch.
        """
        for (_, group), connection in self._client._conns.items():  # noqa: SLF001 - aiokafka just forgets the fetch
            abandoned = any(future.cancelled() for _, _, future in connection._requests)  # noqa: SLF001
            if abandoned and group == ConnectionGroup.DEFAULT:
                connection.close()

    def _wait_at_brokers(self, wait_ms: int) -> None:
        """Set how long the next fetches wait; aiokafka has no public way to change it after the start."""
        self._fetcher._fetch_max_wait_ms = wait_ms  # noqa: SLF001 - see above
