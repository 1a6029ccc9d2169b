"""Hot standby: another process takes over within seconds, and a process that was paused too long is fenced."""

import time
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import orjson
import pytest

from tests.acceptance.invariants import check
from tests.acceptance.model import eventually, simulated
from tests.acceptance.program import run
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import Fleet, Post, watched
from tests.kafka.runs import KafkaRun, all_answers_are_decided

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

_TARGET = 150
_WITHIN_S = 20.0


def active(work: KafkaRun, role: str) -> list[str]:
    """Return the names of the processes that `seedstream status` shows as active."""
    shown = run(work.folder, "status", "--json", settings=work.settings)
    assert shown.code == 0, shown.err
    staff = orjson.loads(shown.out)["at_work"]
    return list(staff.get(role, {}).get("active", []))


def is_active(work: KafkaRun, role: str, post: Post) -> bool:
    return [name.rsplit("-", 1)[1] for name in active(work, role)] == [str(post.program.pid)]


def test_a_standby_takes_over_when_the_active_one_dies(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=6, time_to_first_token_s=0.2) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="4")
        with work.fleet() as fleet:
            first = _staffed(work, fleet)
            second = fleet.add("admit", "finish")
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                watching.wait_for_lines(10)
                second.program.wait_for_word("role.standing_by")
                fleet.posts.remove(first)
                killed = time.monotonic()
                first.program.kill()
                second.program.wait_for_word("stage.ready")
                assert time.monotonic() - killed < _WITHIN_S
                eventually(lambda: is_active(work, "admit", second))
                assert watching.end(60.0).code == 0
            fleet.stop(*fleet.of("generate"))
            ledger = work.ledger_once(all_answers_are_decided)
    check(ledger, _TARGET)


def test_a_process_that_was_paused_too_long_is_fenced(kafka: Cluster, tmp_path: Path) -> None:
    """The pause is longer than its transaction timeout and its session timeout. It must not write another record."""
    with simulated(seed=7, time_to_first_token_s=0.2) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="4", KAFKA_TRANSACTION_S="5")
        with work.fleet() as fleet:
            first = _staffed(work, fleet)
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                watching.wait_for_lines(10)
                fleet.posts.remove(first)
                first.program.send(SIGSTOP)
                second = fleet.add("admit", "finish")
                second.program.wait_for_word("stage.ready")
                first.program.send(SIGCONT)
                stopped = first.program.end()
                assert stopped.code == 75, stopped.err
                assert watching.end(60.0).code == 0
            fleet.stop(*fleet.of("generate"))
            ledger = work.ledger_once(all_answers_are_decided)
    check(ledger, _TARGET)


def test_a_paused_process_without_a_standby_is_fenced(kafka: Cluster, tmp_path: Path) -> None:
    """There is no standby: the broker aborts the open transaction, and the next process continues."""
    with simulated(seed=8, time_to_first_token_s=0.2) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="4", KAFKA_TRANSACTION_S="2")
        with work.fleet() as fleet:
            first = _staffed(work, fleet)
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                watching.wait_for_lines(10)
                first.program.send(SIGSTOP)
                watching.let_pass(12.0)
                first.program.send(SIGCONT)
                while watching.code is None:
                    watching.let_pass(0.5)
                    fleet.keep_up()
                assert watching.end().code == 0
            fleet.stop(*fleet.of("generate"))
            ledger = work.ledger_once(all_answers_are_decided)
    check(ledger, _TARGET)


def _staffed(work: KafkaRun, fleet: Fleet) -> Post:
    """Start one process of each kind. Returns the one with admit and finish, once they are active."""
    fleet.add("producer", "generate", "classify", "instances")
    first = fleet.add("admit", "finish")
    work.set_goal(1)
    first.program.wait_for_word("role.active")
    return first
