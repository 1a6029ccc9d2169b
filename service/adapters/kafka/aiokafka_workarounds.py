"""Workarounds for aiokafka 0.14 while Kafka is unreachable.

They are for metadata requests without pause, stray cancellations, and connections that are left half open.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaProtocol

from service.errors import OutcomeUnknownError

_BACK_OFF_S = 0.2


class _PatientClient:
    """Proxy for a client that pauses after a failed metadata request; all else is delegated to the client."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        """Request metadata; a failed request completes after a pause of `_BACK_OFF_S`."""
        return asyncio.ensure_future(self._ask())

    async def _ask(self) -> bool:
        answered: bool = await self._client.force_metadata_update()
        if not answered:
            await asyncio.sleep(_BACK_OFF_S)
        return answered


def without_haste(producer: AIOKafkaProducer) -> None:
    """Make a producer's sender pause between failed metadata requests.

    While a partition has no leader (a broker that shuts down reports this for its own partitions) and no broker
    answers, the sender retries at once: 2,500 times a second, measured, with one line in the log each time.
    """
    sender = producer._sender  # noqa: SLF001 - the producer has no parameter for its client
    sender.client = _PatientClient(sender.client)


def _close_at_eof(protocol: asyncio.StreamReaderProtocol) -> bool:
    """Take the end of the stream, and let the transport close itself.

    aiokafka's client forgets a connection at its end of the stream and closes it only if its reading task still finds
    it. If not, the socket of a dead broker stays half open until the garbage collector finds it.
    """
    asyncio.StreamReaderProtocol.eof_received(protocol)
    return False


AIOKafkaProtocol.eof_received = _close_at_eof


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and its causes: aiokafka wraps the errors of its background tasks in others."""
    while error is not None:
        yield error
        error = error.__cause__


@contextmanager
def against_stray_cancellation(what: str) -> Iterator[None]:
    """Translate a cancellation that did not come from our own code into an error.

    When its connections are cut off, aiokafka cancels futures that other tasks await. A task group takes that for a
    cancellation of this task, and would end it without an error.

    Raises:
        OutcomeUnknownError: aiokafka cancelled the future that the block awaited.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise OutcomeUnknownError(f"{what}: Kafka's client gave it up when its connections were cut off") from error
