"""Shares of topics on Kafka: they are met by several processes, and when the producer dies."""

from pathlib import Path

import pytest

from tests.acceptance.invariants import check, no_call_is_recorded_twice
from tests.acceptance.model import simulated
from tests.acceptance.test_topics import FILE, HARD, SHARES, check_topics, shares_of, topics_file
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import watched
from tests.kafka.runs import KafkaRun, all_answers_are_decided

pytestmark = [pytest.mark.kafka, pytest.mark.kill, pytest.mark.timeout(500)]

_TARGET = 1_000


def test_shares_are_met_though_the_producer_is_killed(kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=6, time_to_first_token_s=0.02, **HARD) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="8", WINDOW="32")
        with work.fleet() as fleet:
            producer = fleet.add("producer")
            fleet.add("admit", "finish")
            for _ in range(2):
                fleet.add("generate", "classify", "instances")
            work.set_goal(_TARGET, "--about", str(topics_file(tmp_path, FILE)))
            with watched(tmp_path, work.settings) as watching:
                for _ in range(2):
                    fleet.keep_up_until_lines(watching, 200)
                    fleet.kill(producer)
                assert watching.end(300.0).code == 0
            ledger = work.ledger_once(all_answers_are_decided)
            fleet.stop(*fleet.posts)
    check(ledger, _TARGET, without=[no_call_is_recorded_twice])
    check_topics(ledger)
    found = shares_of(ledger.tasks)
    assert max(abs(found[topic] - share) for topic, share in SHARES.items()) < 0.02
