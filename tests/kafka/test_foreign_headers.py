"""Records of another program whose header names are not UTF-8, which Kafka stores: foreign records like any other."""

import struct
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import anyio
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from consumers.admit import Admit
from consumers.generate import Generate
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.lm.concurrency import Slots
from service.messaging import topics
from service.messaging.broker import Broker, Partition, Record
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.contract.namespace import Namespaced
from tests.fakes.models import ScriptedModel, always
from tests.kafka.cluster import Cluster
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    create,
    dead_letters,
    drained_after,
    follow,
    read,
    records_of,
    send,
    work_off,
)

pytestmark = [pytest.mark.kafka, pytest.mark.anyio]

_NAME = "header-name"
_READ = r"\xffeader-name"
_CRC_AT, _CHECKED_FROM = 17, 21


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:8]}."


@pytest.fixture
async def broker(kafka: Cluster, prefix: str) -> AsyncIterator[Broker]:
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        with anyio.fail_after(2 * DEADLINE_S):
            named = Namespaced(broker, prefix)
            await create(named)
            yield named


async def test_a_reader_comes_past_them(kafka: Cluster, broker: Broker, prefix: str) -> None:
    topic = topics.PROMPTS.of(RUN)
    await send(broker, examples.prompt(0))
    await write_foreign(kafka, prefix + topic, b"a", b"b")
    await send(broker, examples.prompt(1))
    await write_foreign(kafka, prefix + topic, b"c")
    found = await records_of(broker, topic)
    assert [record.key for record in found] == [b"p0", None, None, b"p1", None]
    assert [(record.value, record.headers) for record in found if record.key is None] == [
        (value, ((_READ, b""),)) for value in (b"a", b"b", b"c")
    ]
    async with broker.reader([Partition(topic, 0)]) as reader:
        reader.seek(Partition(topic, 0), 2)
        assert (await reader.poll(1, DEADLINE_S))[0].value == b"b"


async def test_a_stage_with_memory_dead_letters_them(kafka: Cluster, broker: Broker, prefix: str) -> None:
    await write_foreign(kafka, prefix + topics.CANDIDATES.of(RUN), b"a", b"b")
    await send(broker, examples.answer(0))
    await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN))
    assert [decision.prompt_id for decision in await read(broker, topics.DECISIONS)] == ["p0"]
    assert kept(await dead_letters(broker, topics.CANDIDATES)) == [(_READ, b"a"), (_READ, b"b")]


async def test_a_stage_without_memory_dead_letters_them(kafka: Cluster, broker: Broker, prefix: str) -> None:
    await write_foreign(kafka, prefix + topics.PROMPTS.of(RUN), b"a", b"b")
    await send(broker, examples.prompt(0))
    stage, limits = Generate(ScriptedModel(always("x")), SELF_INSTRUCT), TimeLimits(DEADLINE_S)
    async with drained_after(StatelessWorker(stage, broker, RUN, Slots(1), limits)):
        assert [answer.key for answer in await follow(broker, topics.CANDIDATES, 1)] == ["p0"]
    assert kept(await dead_letters(broker, topics.PROMPTS)) == [(_READ, b"a"), (_READ, b"b")]


def kept(letters: Sequence[Record]) -> list[tuple[str, bytes | None]]:
    """Return the first header's name, and the value, of each dead letter."""
    return [(next(iter(letter.headers))[0], letter.value) for letter in letters]


async def write_foreign(kafka: Cluster, topic: str, *values: bytes) -> None:
    """Write a batch of records, each with a header whose name begins with a byte that is not UTF-8."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=False) as client:
        batch = client.create_batch()
        for value in values:
            batch.append(timestamp=None, key=None, value=value, headers=[(_NAME, b"")])
        built = batch._build().replace(_NAME.encode(), b"\xff" + _NAME[1:].encode())  # noqa: SLF001 - aiokafka encodes
        struct.pack_into(">I", built, _CRC_AT, calc_crc32c(bytes(built[_CHECKED_FROM:])))
        batch._buffer = built  # noqa: SLF001 - as above
        await (await client.send_batch(batch, topic, partition=0))
