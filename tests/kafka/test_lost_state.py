"""Offsets that Kafka has deleted, records that are gone, and records that no dead letter can hold."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from service.messaging.broker import Partition
from service.messaging.messages import FinishedTask, TaskInstances
from tests.acceptance.invariants import (
    check,
    every_accepted_task_is_finished_or_dropped_or_still_queued,
    no_call_is_recorded_twice,
)
from tests.acceptance.model import Model, simulated
from tests.acceptance.program import Ended, run
from tests.kafka.admin import commit_offset, delete_groups, delete_records, delete_topic, write_foreign
from tests.kafka.cluster import Cluster
from tests.kafka.runs import KafkaRun, paid_twice

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

STAGES = ("generate", "admit", "classify", "instances", "finish", "replay")


def run_to(work: KafkaRun, target: int) -> Ended:
    return run(work.folder, "run", "--target", str(target), "--concurrency", "8", settings=work.settings)


def forget_offsets(kafka: Cluster, work: KafkaRun) -> None:
    delete_groups(kafka.bootstrap, *(f"seedstream.{work.name}.{stage}" for stage in STAGES))


def run_and_forget(kafka: Cluster, work: KafkaRun, target: int) -> str:
    ended = run_to(work, target)
    assert ended.code == 0, ended.err
    forget_offsets(kafka, work)
    return ended.err


def status(work: KafkaRun) -> Any:
    ended = run(work.folder, "status", "--json", settings=work.settings)
    assert ended.code == 0, ended.err
    return orjson.loads(ended.out)


def on_simulator(folder: Path, kafka: Cluster, model: Model, **settings: str) -> KafkaRun:
    return KafkaRun.create(folder, kafka.bootstrap, model, partitions=2, **settings)


def test_expired_offsets_change_nothing(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=1) as model:
        work = on_simulator(tmp_path, kafka, model)
        told = [run_and_forget(kafka, work, target) for target in (30, 60, 60, 90)]
        assert ["offset.missing" in each for each in told] == [False, True, False, True]
        assert paid_twice(model) == 0
    check(work.ledger(), 90)
    assert status(work)["paid_twice"] == 0


def test_a_dead_letter_is_put_back_once_for_all_time(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=2) as model:
        work = on_simulator(tmp_path, kafka, model)
        assert run_to(work, 5).code == 0
        write_foreign(kafka.bootstrap, work.topic("prompts"), 3)
        assert run_to(work, 10).code == 0
        assert status(work)["dead_letters"] == {"prompts": 1}
        assert run(tmp_path, "replay", settings=work.settings).out == b"prompts: 1 put back, 0 remain\n"
        for _ in range(2):
            forget_offsets(kafka, work)
            again = run(tmp_path, "replay", settings=work.settings)
            assert (again.code, again.out, "no dead letters" in again.err) == (0, b"", True)
            assert status(work)["dead_letters"] == {}


def test_a_record_that_no_dead_letter_can_hold_stops_nothing(kafka: Cluster, tmp_path: Path) -> None:
    names = ("prompts", "candidates", "instructions", "classified", "instances")
    with simulated(seed=3) as model:
        work = on_simulator(tmp_path, kafka, model)
        assert run_to(work, 5).code == 0
        for name in names:
            write_foreign(kafka.bootstrap, work.topic(name), 3_000_000)
        ended = run_to(work, 40)
        assert ended.code == 0, ended.err
    for _ in range(2):
        assert status(work)["dead_letters"] == dict.fromkeys(names, 1)
        listed = run(tmp_path, "replay", "--dry-run", settings=work.settings).out.decode().splitlines()
        assert sorted(line.split("\t")[0] for line in listed) == sorted(names)
        assert all("lacks value (3000000 bytes)" in line for line in listed)
        put_back = run(tmp_path, "replay", settings=work.settings)
        assert (put_back.code, set(put_back.out.decode().splitlines())) == (
            0,
            {f"{name}: 0 put back, 0 remain, 1 cannot be put back" for name in names},
        )


@pytest.mark.parametrize("name", ["tasks", "control", "instances"])
def test_a_log_whose_beginning_is_gone_is_refused(kafka: Cluster, tmp_path: Path, name: str) -> None:
    with simulated(seed=4) as model:
        work = on_simulator(tmp_path, kafka, model)
        assert run_to(work, 20).code == 0
        before = work.ledger().all(FinishedTask)
        gone = Partition(work.topic(name), 0)
        delete_records(kafka.bootstrap, {gone: 1})
        refused, checked = run_to(work, 30), run(tmp_path, "topics", "check", settings=work.settings)
        assert (refused.code, checked.code) == (2, 2), refused.err
        assert str(gone) in checked.err
        assert re.search(f"{re.escape(str(gone))}: the records below offset 1 are gone", refused.err), refused.err
        assert "Traceback" not in refused.err
    read = run(tmp_path, "consume", "--until-end", settings=work.settings)
    assert (read.code, len(read.tasks)) == (0, len(before) - (name == "tasks"))


@pytest.mark.parametrize(
    ("name", "reader", "roles"),
    [
        ("instructions", "classify", ("producer", "generate", "admit")),
        ("classified", "instances", ("producer", "generate", "admit", "classify")),
    ],
)
def test_work_on_a_topic_that_was_deleted_is_done_again(
    kafka: Cluster, tmp_path: Path, name: str, reader: str, roles: tuple[str, ...]
) -> None:
    """Kafka deletes the offsets of a topic with the topic; a group that has kept its own would skip the new records."""
    with simulated(seed=5) as model:
        work = on_simulator(tmp_path, kafka, model)
        assert run_to(work, 20).code == 0
        work.set_goal(80)
        with work.fleet() as fleet:
            for role in roles:
                fleet.add(role)
            waiting = work.ledger_once(lambda ledger: len(ledger.pending) >= 20).pending
            fleet.stop(*fleet.posts)
        delete_topic(kafka.bootstrap, work.topic(name))
        created = run(tmp_path, "topics", "create", "--partitions", "2", settings=work.settings)
        assert created.code == 0, created.err
        group, partitions = f"seedstream.{work.name}.{reader}", [Partition(work.topic(name), each) for each in range(2)]
        commit_offset(kafka.bootstrap, group, 1_000, *partitions)
        refused = run_to(work, 80)
        assert (refused.code, "Traceback" in refused.err) == (1, False), refused.err
        assert re.search(f"deleted and created again.*--group {group} --topic {work.topic(name)}", refused.err)
        commit_offset(kafka.bootstrap, group, 0, *partitions)
        ended = run_to(work, 80)
        assert ended.code == 0, ended.err
        assert "results.written_again" in ended.err
    ledger = work.ledger()
    check(ledger, 80, without=[every_accepted_task_is_finished_or_dropped_or_still_queued, no_call_is_recorded_twice])
    assert not waiting & (ledger.pending - {each.id for each in ledger.unread(TaskInstances, "finish")})
