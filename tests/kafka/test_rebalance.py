"""Generators join and leave during a run: no prompt is lost, and no call is paid for twice."""

from pathlib import Path
from random import Random

import pytest

from tests.acceptance.invariants import check
from tests.acceptance.model import simulated
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import watched
from tests.kafka.runs import KafkaRun, all_answers_are_decided, paid_twice

pytestmark = [pytest.mark.kafka, pytest.mark.kill, pytest.mark.timeout(300)]

_TARGET = 500
_CONCURRENCY = 8
_CALLING = ("generate", "classify", "instances")


def test_frequent_rebalances_of_generators_cost_no_call(kafka: Cluster, tmp_path: Path) -> None:
    rng = Random("rebalance")
    with simulated(seed=11, time_to_first_token_s=1.0, time_to_first_token_std_dev_s=0.5) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY=str(_CONCURRENCY), WINDOW="64")
        with work.fleet() as fleet:
            fleet.add("producer", "admit", "finish")
            fleet.add(*_CALLING)
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                watching.wait_for_lines(1)
                moves = 0
                while watching.code is None:
                    callers = fleet.of(*_CALLING)
                    if len(callers) < 2 or (len(callers) < 4 and rng.random() < 0.5):
                        fleet.add(*_CALLING)
                    else:
                        fleet.stop(rng.choice(callers))
                    moves += 1
                    watching.let_pass(rng.uniform(1.5, 4.0))
                assert watching.end().code == 0
            fleet.stop(*fleet.of(*_CALLING))
            ledger = work.ledger_once(all_answers_are_decided)
        assert moves >= 5
        assert paid_twice(model) == 0
    check(ledger, _TARGET)
