"""What aiokafka 0.14 does in haste while Kafka is away, done with patience."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

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
