"""What aiokafka 0.14 does in haste while Kafka is away, done with patience."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from service.errors import OutcomeUnknownError

_BACK_OFF_S = 0.2


class _PatientClient:
    """A client that waits before metadata is asked for again that did not come. All else is the client's own."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        """Ask for metadata, and be a moment longer about it if nobody answers."""
        return asyncio.ensure_future(self._ask())

    async def _ask(self) -> bool:
        answered: bool = await self._client.force_metadata_update()
        if not answered:
            await asyncio.sleep(_BACK_OFF_S)
        return answered


def without_haste(producer: AIOKafkaProducer) -> None:
    """Let the sending half of a producer wait between its questions for metadata.

    While a partition has no leader (a broker that shuts down says so of its own) and nobody answers, it asks again at
    once: 2,500 times a second, measured, and each time is a line in the log.
    """
    sender = producer._sender  # noqa: SLF001 - it takes no client of ours
    sender.client = _PatientClient(sender.client)


@contextmanager
def against_stray_cancellation(what: str) -> Iterator[None]:
    """Turn a cancellation that nobody here asked for into an error.

    When its connections are cut off, aiokafka cancels futures that others wait for. To a task group that looks as if
    this task had been cancelled: it would end without a word.

    Raises:
        OutcomeUnknownError: there was one.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise OutcomeUnknownError(f"{what}: Kafka's client gave it up when its connections were cut off") from error
