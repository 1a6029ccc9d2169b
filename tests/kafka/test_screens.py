"""Screens as separate processes on a real broker, one of which is killed: the run has the same result as without."""

import re
from pathlib import Path

import pytest

from service.messaging.messages import Answer, ScreenedCandidates
from tests.acceptance.invariants import check
from tests.acceptance.ledger import Ledger
from tests.acceptance.model import eventually, simulated
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import watched
from tests.kafka.http import fetch, free_port
from tests.kafka.runs import KafkaRun, all_answers_are_decided

pytestmark = [pytest.mark.kafka, pytest.mark.kill, pytest.mark.timeout(300)]

_TARGET = 400
_WAITING = 16


def used(port: int) -> float:
    """Return the number of candidates that were judged by a hint."""
    found = re.search(r'seedstream_hints_total\{use="used"\} ([0-9.]+)', fetch(port, "metrics")[1])
    return float(found[1]) if found is not None else 0.0


def many_that_wait_have_a_hint(ledger: Ledger) -> bool:
    waiting = {answer.prompt_seq for answer in ledger.unread(Answer, "admit")}
    return len(waiting & {hint.prompt_seq for hint in ledger.all(ScreenedCandidates)}) >= _WAITING


def test_hints_of_a_killed_screen_are_used_by_the_next_admit(kafka: Cluster, tmp_path: Path) -> None:
    port = free_port()
    with simulated(seed=11, time_to_first_token_s=0.2) as model:
        work = KafkaRun.create(tmp_path, kafka.bootstrap, model, CONCURRENCY="8", WINDOW="64")
        with work.fleet() as fleet:
            fleet.add("producer", "generate", "classify", "instances", "finish")
            admit, screen, _ = fleet.add("admit"), fleet.add("screen"), fleet.add("screen")
            work.set_goal(_TARGET)
            with watched(tmp_path, work.settings) as watching:
                fleet.keep_up_until_lines(watching, 5)
                fleet.stop(admit)
                fleet.kill(screen)
                work.ledger_once(many_that_wait_have_a_hint)
                fleet.add("admit", flags=("--http-port", str(port)))
                eventually(lambda: used(port) > 0)
                assert watching.end(120.0).code == 0
            ledger = work.ledger_once(all_answers_are_decided)
            assert "seedstream_hints_believed 1.0" in fetch(port, "metrics")[1]
            fleet.stop(*fleet.posts)
    check(ledger, _TARGET)
