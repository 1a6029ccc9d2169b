"""Topics under bad weather: deleted and created again, with too few copies, or created while a broker is away."""

from pathlib import Path

import anyio
import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from service.messaging.broker import TopicSpec
from service.messaging.messages import TopicIds
from service.messaging.topics import specs
from tests.acceptance.program import run, start
from tests.kafka.cluster import Cluster
from tests.kafka.runs import KafkaRun
from tests.kafka.test_commands import create_topics

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

_GONE_S = 60.0


def delete(cluster: Cluster, *names: str) -> None:
    """Delete topics, and wait until no broker knows them."""

    async def send() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await client.start()
        try:
            await client.delete_topics(list(names))
            with anyio.fail_after(_GONE_S):
                while set(names) & set(await client.list_topics()):  # noqa: ASYNC110 - Kafka tells nobody
                    await anyio.sleep(0.05)
        finally:
            await client.close()

    anyio.run(send)


def test_a_deleted_topic_ends_a_worker_with_an_error(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2, LM="simulator")
    work.set_goal(1_000_000)
    with start(tmp_path, "worker", "producer", "generate", settings=work.settings) as program:
        program.wait_for_word("role.active")
        delete(kafka, work.topic("prompts"))
        ended = program.end(_GONE_S)
    assert ended.code == 1, ended.err
    last = ended.err.strip().splitlines()[-1]
    assert last.startswith(f"seedstream: {work.topic('prompts')} was deleted while this process worked with it"), last
    assert len(ended.err.splitlines()) < 30, ended.err


def test_a_topic_created_again_is_named(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2)
    work.set_goal(5)
    assert len(work.ledger().all(TopicIds)) == 1
    delete(kafka, work.topic("pool"))
    refused = run(tmp_path, "topics", "create", settings=work.settings)
    assert (refused.code, f"{work.topic('pool')} was deleted, and" in refused.err) == (2, True), refused.err
    create_topics(kafka, TopicSpec(work.topic("pool"), 1))
    for command in (("topics", "check"), ("topics", "create"), ("worker", "admit")):
        refused = run(tmp_path, *command, settings=work.settings)
        assert (refused.code, f"{work.topic('pool')} was deleted and created again" in refused.err) == (2, True)


def test_a_topic_without_needed_records_may_be_created_again(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2)
    work.set_goal(5)
    delete(kafka, work.topic("hints"))
    missing = run(tmp_path, "topics", "check", settings=work.settings)
    assert (missing.code, f"missing: {work.topic('hints')}" in missing.err) == (2, True), missing.err
    create_topics(kafka, TopicSpec(work.topic("hints"), 2))
    other = run(tmp_path, "topics", "check", settings=work.settings)
    assert (other.code, "`seedstream topics create" in other.err) == (2, True), other.err
    assert run(tmp_path, "topics", "create", settings=work.settings).code == 0
    assert run(tmp_path, "topics", "check", settings=work.settings).code == 0


def test_a_run_of_an_earlier_version_gets_ids(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2)
    work.set_goal(5)
    ids = work.ledger().all(TopicIds)
    assert ids[0].ids.keys() == {spec.name.split(".", 2)[2] for spec in specs(work.name, 1)}
    work.set_goal(6)
    assert len(work.ledger().all(TopicIds)) == 1


def test_differing_partitions_are_named(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2)
    assert "partitions differ" not in run(tmp_path, "topics", "check", settings=work.settings).err
    delete(kafka, work.topic("classified"))
    create_topics(kafka, TopicSpec(work.topic("classified"), 3))
    checked = run(tmp_path, "topics", "check", settings=work.settings)
    assert checked.code == 0
    assert "partitions differ" in checked.err
    assert "3: classified" in checked.err


def test_the_description_is_whole_at_eighty_columns(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2)
    shown = run(tmp_path, "topics", "describe", settings=work.settings).out.decode()
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown.partition("\n")[2]
    for word in ("instructions.dlq", "1130496", "max bytes", "at least"):
        assert word in shown


def test_two_of_three_copies_must_have_a_record(three: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, three.bootstrap, partitions=2)
    states = orjson.loads(run(tmp_path, "topics", "describe", "--json", settings=work.settings).out)
    assert {(state["replication"], state["configs"]["min.insync.replicas"]) for state in states} == {(3, "2")}
    checked = run(tmp_path, "topics", "check", settings=work.settings)
    assert (checked.code, "copies" in checked.err) == (0, False)
    _alter(three, work.topic("pool"), {"min.insync.replicas": "1"})
    chosen = run(tmp_path, "topics", "check", settings=work.settings)
    assert chosen.code == 2, chosen.err  # the other settings of the topic are gone with it
    assert "min.insync.replicas=1 is set on the topic" in chosen.err


def test_a_broker_that_is_away_does_not_lower_the_copies(three: Cluster, tmp_path: Path) -> None:
    KafkaRun.create(tmp_path, three.bootstrap)  # brokers before Kafka 4.0 tell of those that have replicas alone
    three.kill(2)
    try:
        work = KafkaRun.create(tmp_path, three.bootstrap, partitions=2)
        states = orjson.loads(run(tmp_path, "topics", "describe", "--json", settings=work.settings).out)
        checked = run(tmp_path, "topics", "check", settings=work.settings)
    finally:
        three.restart(2)
    assert {state["replication"] for state in states} == {3}
    assert (checked.code, "not all replicas are in sync" in checked.err) == (0, True), checked.err


def _alter(cluster: Cluster, topic: str, settings: dict[str, str]) -> None:
    """Replace the settings of a topic, and wait until it has them."""

    async def send() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await client.start()
        try:
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
        finally:
            await client.close()

    anyio.run(send)
