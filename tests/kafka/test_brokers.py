"""Three brokers with every topic on all of them: each one may die in the middle of a run."""

import time
from pathlib import Path

import anyio
import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.adapters.kafka.cluster import Cluster as Brokers
from service.messaging.broker import Isolation, NewRecord, Partition, TopicSpec
from tests.acceptance.invariants import check, no_call_is_recorded_twice
from tests.acceptance.model import simulated
from tests.acceptance.program import Program, start
from tests.conftest import require_kafka
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import Fleet, watched
from tests.kafka.runs import KafkaRun, all_answers_are_decided, recorded_twice

pytestmark = [pytest.mark.kafka, pytest.mark.kill, pytest.mark.timeout(400)]

_TARGET = 600
_IN_SYNC_S = 90.0


def roles_of_brokers(cluster: Cluster, work: KafkaRun) -> dict[str, int]:
    """Return the leader of the pool, and the coordinators of admit's group and of its transactions."""

    async def ask() -> dict[str, int]:
        options = KafkaOptions(bootstrap=cluster.bootstrap)
        async with KafkaBroker.open(options), Brokers.open(options) as brokers:
            topics = await brokers.topics()
            group = f"seedstream.{work.name}.admit"
            return {
                "leader": topics[work.topic("pool")][0]["leader"],
                "group": await brokers.admin.find_coordinator(group),
                "transactions": await brokers.admin.find_coordinator(group, 1),
            }

    return anyio.run(ask)


def keep_up_until_in_sync(cluster: Cluster, fleet: Fleet, watching: Program) -> None:
    """Wait until all replicas of all partitions, Kafka's own included, are in sync, before the next broker dies."""

    async def ask() -> bool:
        options = KafkaOptions(bootstrap=cluster.bootstrap)
        async with KafkaBroker.open(options), Brokers.open(options) as brokers:
            topics = await brokers.topics()
        assert "__transaction_state" in topics
        return all(len(part["isr"]) == len(part["replicas"]) for parts in topics.values() for part in parts)

    give_up = time.monotonic() + _IN_SYNC_S
    while not anyio.run(ask):
        assert time.monotonic() < give_up, f"the brokers are not in sync after {_IN_SYNC_S} s"
        watching.let_pass(0.5)
        fleet.keep_up()


def test_any_broker_may_die_in_the_middle_of_a_run(three: Cluster, tmp_path: Path) -> None:
    """The leader of the pool, the coordinators of groups and transactions, and other brokers die one after another."""
    with simulated(seed=9, time_to_first_token_s=0.25) as model:
        work = KafkaRun.create(tmp_path, three.bootstrap, model, CONCURRENCY="4")
        with work.fleet() as fleet:
            _staff(fleet)
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                fleet.keep_up_until_lines(watching, 5)
                for what in ("leader", "transactions", "group"):
                    node = roles_of_brokers(three, work)[what]
                    three.kill(node)
                    fleet.keep_up_until_lines(watching, 20)
                    three.restart(node)
                    keep_up_until_in_sync(three, fleet, watching)
                    fleet.keep_up_until_lines(watching, 20)
                while watching.code is None:
                    watching.let_pass(0.5)
                    fleet.keep_up()
                assert watching.end().code == 0
            fleet.stop(*fleet.of("generate"))
            ledger = work.ledger_once(all_answers_are_decided)
            fleet.stop(*fleet.posts)
    check(ledger, _TARGET, without=[no_call_is_recorded_twice])
    assert recorded_twice(ledger) == 0, fleet.codes()
    on_log = sorted((record.value or b"").decode() for record, _ in ledger.entries[type(ledger.tasks[0])])
    assert sorted(three.console_consumer(work.topic("tasks"), len(on_log))) == on_log


@pytest.mark.anyio
@pytest.mark.parametrize("isolation", list(Isolation))
async def test_a_new_leader_tells_where_its_partition_ends(three: Cluster, isolation: Isolation) -> None:
    place = Partition(f"led-{isolation.value}", 0)
    async with KafkaBroker.open(KafkaOptions(bootstrap=three.bootstrap)) as broker:
        await broker.create_topics([TopicSpec(place.topic, 1)])
        async with broker.producer() as producer:
            await producer.send([NewRecord(place.topic, b"x", partition=0)])
        assert await broker.end_offset(place, isolation) == 1
        leader = await anyio.to_thread.run_sync(three.leader, place.topic)
        await anyio.to_thread.run_sync(three.kill, leader)
        assert await broker.end_offset(place, isolation) == 1
        await anyio.to_thread.run_sync(three.restart, leader)


def _staff(fleet: Fleet) -> None:
    fleet.add("producer")
    fleet.add("generate", "classify", "instances")
    fleet.add("generate", "classify", "instances")
    fleet.add("admit", "finish")
    fleet.add("admit", "finish")


def test_a_process_without_any_broker_ends_with_an_error(tmp_path: Path) -> None:
    require_kafka()
    with Cluster.start(tmp_path / "kafka") as cluster:
        work = KafkaRun.create(tmp_path, cluster.bootstrap, KAFKA_GONE_S="5")
        with start(tmp_path, "worker", "admit", settings=work.settings) as program:
            work.set_goal(1)
            program.wait_for_word("stage.ready")
            cluster.kill(0)
            ended = program.end(90.0)
    assert ended.code == 1
    assert "no broker" in ended.err or "gave no answer" in ended.err
