"""A connection to a Kafka broker ends with its stream, also where nobody reads it any more."""

import asyncio

import anyio
import pytest
from aiokafka.conn import AIOKafkaProtocol

import service.adapters.kafka  # noqa: F401 - its import mends the protocol

pytestmark = pytest.mark.anyio

_DEADLINE_S = 10.0


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_connection_closes_when_its_broker_dies() -> None:
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[None] = loop.create_future()
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
        reader = asyncio.StreamReader(loop=loop)
        port = server.sockets[0].getsockname()[1]
        await loop.create_connection(lambda: AIOKafkaProtocol(closed, reader, loop=loop), "127.0.0.1", port)
        with anyio.fail_after(_DEADLINE_S):
            await closed
