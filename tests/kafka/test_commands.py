"""Commands on a real Kafka: topics, errors with a remedy, one process or several, secure listeners."""

from pathlib import Path

import anyio
import orjson
import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging import topics
from service.messaging.broker import NewRecord, TopicSpec
from service.messaging.messages import PooledTask
from tests.acceptance.conftest import write_seeds
from tests.acceptance.invariants import check
from tests.acceptance.model import eventually, simulated
from tests.acceptance.program import run
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import watched
from tests.kafka.http import fetch, free_port
from tests.kafka.runs import KafkaRun
from tests.support.logs import records_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]


def at(cluster: Cluster, name: str, **settings: str) -> dict[str, str]:
    return {"BROKER": f"kafka://{cluster.bootstrap}", "RUN": name, **settings}


def write(cluster: Cluster, *records: NewRecord) -> None:
    async def send() -> None:
        async with KafkaBroker.open(KafkaOptions(bootstrap=cluster.bootstrap)) as broker, broker.producer() as producer:
            await producer.send(records)

    anyio.run(send)


def create_topics(cluster: Cluster, *specs: TopicSpec) -> None:
    async def create() -> None:
        async with KafkaBroker.open(KafkaOptions(bootstrap=cluster.bootstrap)) as broker:
            await broker.create_topics(specs)

    anyio.run(create)


def test_one_process_reaches_a_target_and_then_a_higher_one(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap)
    flags = ("--lm", "simulator", "--concurrency", "4")
    first = run(tmp_path, "run", "--target", "10", *flags, settings=work.settings)
    assert (first.code, len(first.tasks)) == (0, 10), first.err
    second = run(tmp_path, "run", "--target", "25", *flags, settings=work.settings)
    assert (second.code, len(second.tasks)) == (0, 15), second.err
    check(work.ledger(), 25)
    exported = run(tmp_path, "export", "--output", "tasks.jsonl", settings=work.settings)
    assert exported.code == 0, exported.err
    assert len((tmp_path / "tasks.jsonl").read_text().splitlines()) == 25


def test_a_refiltered_run_goes_on_as_if_it_had_just_begun(kafka: Cluster, tmp_path: Path) -> None:
    old, new = (KafkaRun.create(tmp_path, kafka.bootstrap, partitions=2, LM="simulator") for _ in range(2))
    for command, work in (
        (("run", "--target", "10"), old),
        (("refilter", "--threshold", "0.6", "--into", new.name), old),
        (("run", "--target", "15"), new),
    ):
        ended = run(tmp_path, *command, settings=work.settings)
        assert (ended.code, "offset.missing" in ended.err) == (0, False), ended.err
    assert len(new.ledger().tasks) == 15


def test_run_is_refused_while_workers_are_active(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap)
    with work.fleet() as fleet:
        fleet.add("admit")
        work.set_goal(5)
        eventually(lambda: b'"admit"' in run(tmp_path, "status", "--json", settings=work.settings).out)
        refused = run(tmp_path, "run", "--lm", "simulator", settings=work.settings)
        fleet.stop(*fleet.posts)
    assert refused.code == 1
    assert "seedstream goal" in refused.err
    after = run(tmp_path, "run", "--lm", "simulator", settings=work.settings)
    assert (after.code, len(after.tasks)) == (0, 5), after.err


def test_the_error_for_missing_topics_names_the_command(kafka: Cluster, tmp_path: Path) -> None:
    settings = at(kafka, "nothing")
    for command in (("run", "--lm", "simulator"), ("worker", "admit"), ("goal",), ("topics", "check")):
        refused = run(tmp_path, *command, settings=settings)
        assert refused.code == 2
        assert f"seedstream topics create --broker kafka://{kafka.bootstrap} --run nothing" in refused.err
    created = run(tmp_path, "topics", "create", "--partitions", "3", settings=settings)
    assert created.code == 0, created.err
    assert run(tmp_path, "topics", "check", settings=settings).code == 0
    described = run(tmp_path, "topics", "describe", "--json", settings=settings)
    states = {state["name"]: state for state in orjson.loads(described.out)}
    assert len(states) == 2 * len(topics.ALL)
    assert states["seedstream.nothing.prompts"]["partitions"] == 3
    assert states["seedstream.nothing.pool"]["partitions"] == 1
    assert states["seedstream.nothing.pool"]["configs"]["retention.ms"] == "-1"


def test_an_ordered_topic_with_two_partitions_is_refused(kafka: Cluster, tmp_path: Path) -> None:
    settings = at(kafka, "wide")
    create_topics(kafka, TopicSpec("seedstream.wide.pool", 2))
    refused = run(tmp_path, "topics", "create", settings=settings)
    assert refused.code == 2
    assert "seedstream.wide.pool: expected 1 partition" in refused.err
    assert run(tmp_path, "worker", "admit", settings=settings).code == 2


def test_the_error_for_an_unknown_run_lists_the_known_runs(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap)
    unknown = run(tmp_path, "status", "--run", "unknown", settings=work.settings)
    assert unknown.code == 2
    assert work.name in unknown.err


def test_an_unreachable_broker_is_reported_at_once(tmp_path: Path) -> None:
    for command in (("run", "--lm", "simulator"), ("topics", "create"), ("status",), ("worker", "finish")):
        refused = run(tmp_path, *command, settings={"BROKER": "kafka://127.0.0.1:1", "RUN": "r"})
        assert refused.code == 1
        assert "expected a Kafka broker at 127.0.0.1:1" in refused.err


def test_a_worker_needs_kafka(tmp_path: Path) -> None:
    refused = run(tmp_path, "worker", "admit")
    assert refused.code == 2
    assert "seedstream run" in refused.err


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_passwords_over_tls_with_a_private_ca_are_accepted(kafka: Cluster, tmp_path: Path, mechanism: str) -> None:
    password = tmp_path / "password"
    password.write_text(f"{kafka.password}\n")
    settings = {
        "BROKER": f"kafka://{kafka.secure_bootstrap}",
        "RUN": f"secure-{mechanism.lower()}",
        "KAFKA_TLS": "true",
        "KAFKA_CA_FILE": str(kafka.tls / "ca.pem"),
        "KAFKA_CERTIFICATE_FILE": str(kafka.tls / "client.pem"),
        "KAFKA_KEY_FILE": str(kafka.tls / "client.key"),
        "KAFKA_SASL": mechanism,
        "KAFKA_USERNAME": kafka.user,
        "KAFKA_PASSWORD_FILE": str(password),
    }
    created = run(tmp_path, "topics", "create", settings=settings)
    assert created.code == 0, created.err
    ended = run(tmp_path, "run", "--target", "3", "--lm", "simulator", settings=settings)
    assert (ended.code, len(ended.tasks)) == (0, 3), ended.err
    assert kafka.password not in ended.err
    password.write_text("wrong")
    refused = run(tmp_path, "status", settings=settings)
    assert refused.code == 1
    assert "wrong" not in refused.err
    assert "uthentication" in refused.err


def test_an_unknown_ca_is_refused(kafka: Cluster, tmp_path: Path) -> None:
    settings = at(kafka, "r") | {"BROKER": f"kafka://{kafka.secure_bootstrap}", "KAFKA_TLS": "true"}
    refused = run(tmp_path, "status", settings=settings)
    assert refused.code == 1
    assert "certificate" in refused.err.lower()
    missing = run(tmp_path, "status", settings=settings | {"KAFKA_CA_FILE": "nowhere.pem"})
    assert (missing.code, "nowhere.pem" in missing.err) == (2, True)


def test_admit_pools_seeds_added_to_a_live_run(kafka: Cluster, tmp_path: Path) -> None:
    seeds = write_seeds(tmp_path / "mine.jsonl")
    work = KafkaRun.create(tmp_path, kafka.bootstrap)
    with work.fleet() as fleet:
        admit = fleet.add("admit")
        work.set_goal(5)
        admit.program.wait_for_word("stage.ready")
        added = run(tmp_path, "seeds", "add", seeds, settings=work.settings)
        assert added.code == 0, added.err
        ledger = work.ledger_once(lambda ledger: len(ledger.all(PooledTask)) == 175 + 20)
        assert [task.pool_seq for task in ledger.all(PooledTask)] == list(range(195))


def test_poison_becomes_identical_dead_letters_to_be_replayed(kafka: Cluster, tmp_path: Path) -> None:
    """The poison is in inputs of transactional stages and of others. It does not block the run."""
    with simulated(seed=12, time_to_first_token_s=0.05) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="4")
        future = NewRecord(
            work.topic("candidates"),
            b'{"from":"the future"}',
            key=b"foreign",
            headers=(("ce_type", b"io.seedstream.answer.v9"), ("odd", None), ("odd", b"\xff")),
        )
        garbage = NewRecord(work.topic("prompts"), b"\x00not json", key=None, partition=3)
        empty = NewRecord(work.topic("instances"), None, key=None, headers=(("ce_type", b"io.seedstream.task.v1"),))
        write(kafka, future, garbage, empty)
        with work.fleet() as fleet:
            fleet.add("producer", "generate", "classify", "instances", "admit", "finish")
            with watched(tmp_path, work.settings) as watching:
                work.set_goal(30)
                assert watching.end().code == 0
            fleet.stop(*fleet.of("generate"))
        letters = _dead_letters(kafka, work)
        status = orjson.loads(run(tmp_path, "status", "--json", settings=work.settings).out)
        put_back = run(tmp_path, "replay", settings=work.settings)
        again = run(tmp_path, "replay", settings=work.settings)
    assert (put_back.code, again.code) == (0, 0), put_back.err + again.err
    assert put_back.out != again.out
    assert letters == {
        "candidates": (future.key, future.value, future.headers),
        "prompts": (garbage.key, garbage.value, garbage.headers),
        "instances": (empty.key, empty.value, empty.headers),
    }
    assert status["dead_letters"] == {"candidates": 1, "prompts": 1, "instances": 1}
    assert (status["finished"], status["prompts"]["open"]) == (30, 0)


def _dead_letters(cluster: Cluster, work: KafkaRun) -> dict[str, tuple[object, ...]]:
    """Return key, value and original headers of the dead letters of three topics."""

    async def read() -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {}
        async with KafkaBroker.open(KafkaOptions(bootstrap=cluster.bootstrap)) as broker:
            for topic in (topics.CANDIDATES, topics.PROMPTS, topics.INSTANCES):
                (record,) = await records_of(broker, topic.dead_letters_of(work.name))
                own = tuple(each for each in record.headers if not each[0].startswith("__seedstream.errors."))
                found[topic.name] = (record.key, record.value, own)
        return found

    return anyio.run(read)


def test_a_worker_reports_its_health_and_its_active_roles(kafka: Cluster, tmp_path: Path) -> None:
    work = KafkaRun.create(tmp_path, kafka.bootstrap)
    port = free_port()
    with work.fleet() as fleet:
        post = fleet.add("admit", "finish", flags=("--http-port", str(port)))
        post.program.wait_for_word("run.awaited")
        assert fetch(port, "healthz") == (200, "ok\n")
        assert fetch(port, "readyz") == (503, "not ready: admit, finish\n")
        taken = run(tmp_path, "worker", "producer", "--http-port", str(port), settings=work.settings)
        assert (taken.code, "cannot listen" in taken.err) == (2, True)
        work.set_goal(5)
        eventually(lambda: fetch(port, "readyz") == (200, "ok\n"))
        eventually(lambda: 'seedstream_role_active{role="admit"} 1.0' in fetch(port, "metrics")[1])
        assert 'seedstream_lm_duplicate_calls_total{role="admit"} 0.0' in fetch(port, "metrics")[1]
