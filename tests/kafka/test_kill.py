"""Every role is killed at random moments on a real broker: nothing is lost, and no task or pool entry is doubled.

The roles with memory write checkpoints all the time, into one folder, so that some kills come while one is written.
"""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.invariants import check, no_call_is_recorded_twice
from tests.acceptance.ledger import Ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import Program
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import Fleet, watched
from tests.kafka.runs import KafkaRun, all_answers_are_decided, paid_twice, recorded_twice
from tests.support.saving_often import code_that_saves_often

pytestmark = [pytest.mark.kafka, pytest.mark.kill, pytest.mark.timeout(400)]

_TARGET = 1_000
_CONCURRENCY = 8
_ROUNDS = 4
_CALLING = ("generate", "classify", "instances")
_ROLES = ("producer", "generate", "generate", "classify", "instances", "admit", "finish")


def test_every_role_killed_at_random_moments(kafka: Cluster, tmp_path: Path) -> None:
    rng = Random("fleet")
    with simulated(seed=5, time_to_first_token_s=0.15, time_to_first_token_std_dev_s=0.1) as model:
        work = KafkaRun.create(
            tmp_path,
            kafka.bootstrap,
            model,
            CONCURRENCY=str(_CONCURRENCY),
            WINDOW="64",
            STATE_DIR=str(tmp_path / "state"),
        )
        with work.fleet() as fleet:
            _staff(fleet, code_that_saves_often(tmp_path))
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                killed = _kill_until_it_ends(fleet, watching, rng)
                assert watching.end().code == 0
            fleet.stop(*fleet.of(*_CALLING, "producer"))
            ledger = work.ledger_once(all_answers_are_decided)
            fleet.stop(*fleet.posts)
        twice = paid_twice(model)
    check(ledger, _TARGET, without=[no_call_is_recorded_twice])
    saved = {each.name for each in (tmp_path / "state").glob("*/*.checkpoint")}
    assert {"producer.checkpoint", "admit.checkpoint", "finish.checkpoint"} <= saved
    assert killed.keys() == set(_ROLES)
    _check_the_bill(ledger, twice, sum(killed[role] for role in _CALLING))
    _check_with_kafkas_own_consumer(kafka, work, ledger)


def _staff(fleet: Fleet, code: Path) -> None:
    counts = {"producer": 1, "generate": 4, "classify": 2, "instances": 2, "admit": 2, "finish": 2}
    for role, count in counts.items():
        for _ in range(count):
            fleet.add(role, code=code)


def _kill_until_it_ends(fleet: Fleet, watching: Program, rng: Random) -> Counter[str]:
    """Kill processes of every role in turn, then let the run end. Returns the number of kills by role."""
    killed: Counter[str] = Counter()
    watching.wait_for_lines(1)
    for _ in range(_ROUNDS):
        for role in rng.sample(_ROLES, len(_ROLES)):
            if watching.code is None:
                fleet.kill(rng.choice(fleet.of(role)))
                killed[role] += 1
                watching.let_pass(rng.uniform(0.0, 2.0))
                fleet.keep_up()
    while watching.code is None:
        watching.let_pass(1.0)
        fleet.keep_up()
    return killed


def _check_the_bill(ledger: Ledger, twice: int, killed: int) -> None:
    """Check that only calls in flight at a kill were paid for twice."""
    assert twice <= killed * _CONCURRENCY
    assert recorded_twice(ledger) <= twice


def _check_with_kafkas_own_consumer(kafka: Cluster, work: KafkaRun, ledger: Ledger) -> None:
    """Check that Kafka's console consumer reads exactly the tasks of the ledger."""
    on_log = sorted((record.value or b"").decode() for record, _ in ledger.entries[type(ledger.tasks[0])])
    assert sorted(kafka.console_consumer(work.topic("tasks"), len(on_log))) == on_log
