"""Reports on the topics of a run on Kafka: faults, which must be mended, and remarks."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from service.adapters.kafka import KafkaBroker, TopicState, configs_of
from service.bootstrap.topic_checks import TopicReport, create_missing, find_faults, report
from service.errors import ConfigurationError
from service.messaging import topics
from service.messaging.broker import Broker, Isolation, Partition, Producer, Reader, TopicSpec
from service.messaging.messages import TopicIds
from service.messaging.record_size import MAX_RECORD_BYTES
from service.settings import load_settings
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import RUN, create, read, send

pytestmark = pytest.mark.anyio

SETTINGS = load_settings({"broker": "kafka://k:9092", "run": RUN, "partitions": 2})
POOL, HINTS, INSTRUCTIONS = topics.POOL.of(RUN), topics.HINTS.of(RUN), topics.INSTRUCTIONS.of(RUN)
IN_SYNC = "min.insync.replicas"


@dataclass(eq=False)
class FakeKafka:
    """Topics as Kafka describes them, with the records of a real broker. `ids` can change, as at a new creation."""

    records: Broker
    states: dict[str, TopicState]
    retention: str | None = "10080"
    created: list[str] = field(default_factory=list)
    begins: dict[Partition, int] = field(default_factory=dict)

    async def describe_topics(self, names: Sequence[str]) -> list[TopicState]:
        return [self.states[name] for name in names if name in self.states]

    async def topic_ids(self, names: Sequence[str]) -> Mapping[str, str]:
        return {name: self.states[name].id for name in names if name in self.states}

    async def broker_setting(self, name: str) -> str | None:
        assert name == "offsets.retention.minutes"
        return self.retention

    async def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        for spec in specs:
            if spec.name not in self.states:
                self.created.append(spec.name)
                self.states[spec.name] = state(spec.name, spec.partitions, "new")

    async def partitions(self, topic: str) -> int:
        return await self.records.partitions(topic)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        return await self.records.end_offset(partition, isolation)

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        return await self.records.end_offsets(partitions, isolation)

    async def begin_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {partition: self.begins.get(partition, 0) for partition in partitions}

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[Reader]:
        return self.records.reader(partitions)

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        return self.records.producer()

    def change(self, name: str, **changes: object) -> None:
        self.states[name] = replace(self.states[name], **changes)  # type: ignore[arg-type]

    def configure(self, name: str, **configs: str) -> None:
        named = {key.replace("_", "."): value for key, value in configs.items()}
        self.change(name, configs={**self.states[name].configs, **named})


def state(name: str, partitions: int, topic_id: str, replication: int = 3) -> TopicState:
    return TopicState(
        name=name,
        id=topic_id,
        partitions=partitions,
        replication=replication,
        in_sync=replication,
        configs=configs_of(name, replication),
        chosen=(),
        max_record_bytes=MAX_RECORD_BYTES,
    )


async def kafka_on(broker: Broker, *, defined: bool = True, replication: int = 3) -> FakeKafka:
    """Return a Kafka whose topics are as `topics create` makes them, with a run of this version."""
    await create(broker, 2)
    specs = topics.specs(RUN, 2)
    states = {spec.name: state(spec.name, spec.partitions, f"id of {spec.name}", replication) for spec in specs}
    kafka = FakeKafka(broker, states)
    if defined:
        ids = {name.removeprefix(f"seedstream.{RUN}."): each.id for name, each in states.items()}
        await send(broker, examples.definition(0), TopicIds(run=RUN, ids=ids))
    return kafka


async def reported(kafka: FakeKafka) -> TopicReport:
    found = await report(cast("KafkaBroker", kafka), SETTINGS)
    assert found.faults == await find_faults(cast("KafkaBroker", kafka), SETTINGS)
    return found


async def created(kafka: FakeKafka) -> None:
    await create_missing(cast("KafkaBroker", kafka), SETTINGS)


async def test_topics_as_created_have_no_fault(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        found = await reported(await kafka_on(broker))
    assert found.faults == []
    assert [remark.partition(":")[0] for remark in found.remarks] == ["offsets.retention.minutes=10080"]
    assert "7 days" in found.remarks[0]


async def test_records_that_are_gone_are_named_and_no_setting_mends_it(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker)
        kafka.configure(POOL, retention_ms="1000")
        kafka.begins = {Partition(POOL, 0): 7, Partition(f"{POOL}.dlq", 0): 7}
        setting, gone = (await reported(kafka)).faults
    assert setting.endswith("--add-config retention.ms=-1` sets it")
    assert gone.startswith(f"{POOL}/0: the records below offset 7 are gone")


async def test_three_copies_need_two_in_sync_unless_chosen(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker)
        kafka.configure(POOL, min_insync_replicas="1")
        (fault,) = (await reported(kafka)).faults
        assert fault.startswith(f"{POOL}: expected {IN_SYNC}=2, got {IN_SYNC}=1; `kafka-configs.sh")
        kafka.change(POOL, chosen=[IN_SYNC])
        found = await reported(kafka)
        assert (found.faults, f"{IN_SYNC}=1 is set on the topic" in found.remarks[0]) == ([], True)
        kafka.configure(POOL, min_insync_replicas="3")
        assert (await reported(kafka)).faults == []
        kafka.configure(POOL, min_insync_replicas="4")
        assert len((await reported(kafka)).faults) == 1


async def test_fewer_copies_and_replicas_behind_are_said(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker, replication=2)
        kafka.change(POOL, in_sync=1)
        found = await reported(kafka)
    assert found.faults == []
    assert ("2 copies of each record" in found.remarks[0], found.remarks[1].startswith("pool: not all")) == (True, True)


async def test_topics_with_other_partitions_are_named(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker)
        kafka.change(INSTRUCTIONS, partitions=5)
        found = await reported(kafka)
    assert found.faults == []
    assert "5: instructions" in found.remarks[0]


async def test_hidden_settings_of_the_brokers_are_said(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker)
        kafka.retention = None
        assert "DescribeConfigs" in (await reported(kafka)).remarks[0]


async def test_a_recreated_topic_is_a_fault_with_its_remedy(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker)
        for name in (POOL, HINTS, INSTRUCTIONS):
            kafka.change(name, id="another")
        said = {fault.partition(" ")[0]: fault for fault in (await reported(kafka)).faults}
    assert "cannot go on" in said[POOL]
    assert "`seedstream topics create --broker kafka://k:9092 --run r`" in said[HINTS]
    assert "--reset-offsets --to-earliest" in said[INSTRUCTIONS]


async def test_only_topics_that_can_be_spared_are_created_anew(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker)
        del kafka.states[POOL]
        (fault,) = (await reported(kafka)).faults
        assert fault.startswith(f"{POOL} was deleted, and")
        with pytest.raises(ConfigurationError, match=f"{POOL} was deleted, and"):
            await created(kafka)
        assert kafka.created == []
        kafka.states[POOL] = state(POOL, 1, f"id of {POOL}")
        del kafka.states[HINTS]
        (fault,) = (await reported(kafka)).faults
        assert fault.startswith(f"missing: {HINTS}; `seedstream topics create")
        await created(kafka)
        assert (kafka.created, (await reported(kafka)).faults) == ([HINTS], [])
        await created(kafka)
        ids = [each for each in await read(broker, topics.CONTROL) if isinstance(each, TopicIds)]
        assert [each.ids["hints"] for each in ids] == [f"id of {HINTS}", "new"]


async def test_a_topic_that_a_later_version_adds_gets_its_id(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kafka = await kafka_on(broker, defined=False)
        await send(broker, examples.definition(0), TopicIds(run=RUN, ids={"pool": f"id of {POOL}"}))
        assert (await reported(kafka)).faults == []
        await created(kafka)
        last = [each for each in await read(broker, topics.CONTROL) if isinstance(each, TopicIds)][-1]
        assert len(last.ids) == len(kafka.states)
