"""A record of another program whose header name is not UTF-8, which Kafka stores and aiokafka cannot decode."""

import struct
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.errors import BrokerError
from service.messaging.broker import Partition, TopicSpec
from tests.contract.logs import read_all
from tests.kafka.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.anyio]

_NAME = b"header-name"
_CRC_AT, _CHECKED_FROM = 17, 21


async def test_a_header_name_that_is_not_utf8_is_a_named_error(kafka: Cluster) -> None:
    topic = f"headers-{uuid4().hex}"
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        await broker.create_topics([TopicSpec(topic, 1)])
        await _write_damaged_name(kafka.bootstrap, topic)
        with pytest.raises(BrokerError, match=f"reading {topic}/0: another program wrote a record with a header"):
            await read_all(broker, Partition(topic, 0))


async def _write_damaged_name(bootstrap: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False) as client:
        batch = client.create_batch()
        batch.append(timestamp=None, key=None, value=b"value", headers=[(_NAME.decode(), b"")])
        built = bytearray(batch._build())  # noqa: SLF001 - aiokafka encodes names of headers itself
        at = built.index(_NAME)
        built[at] = 0xFF
        built[_CRC_AT:_CHECKED_FROM] = struct.pack(">I", calc_crc32c(built[_CHECKED_FROM:]))
        batch._buffer = built  # noqa: SLF001 - as above
        await (await client.send_batch(batch, topic, partition=0))
