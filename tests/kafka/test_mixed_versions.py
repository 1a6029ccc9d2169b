"""Workers of an earlier version beside those of this one: nothing is lost, doubled, paid twice or dead-lettered."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.invariants import check
from tests.acceptance.model import Model, simulated
from tests.acceptance.program import CODE, Program, run
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import Fleet, watched
from tests.kafka.runs import KafkaRun, all_answers_are_decided, paid_twice, recorded_twice

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

_TARGET = 200
_CALLING = ("generate", "classify", "instances")
_DECIDING = ("producer", "admit", "finish")


def created(folder: Path, kafka: Cluster, model: Model) -> KafkaRun:
    return KafkaRun.create(folder, kafka.bootstrap, model, CONCURRENCY="8", WINDOW="64")


def set_goal(work: KafkaRun, target: int, code: Path) -> None:
    ended = run(work.folder, "goal", "--target", str(target), settings=work.settings, code=code)
    assert ended.code == 0, ended.err


def until_it_ends(fleet: Fleet, watching: Program) -> None:
    while watching.code is None:
        watching.let_pass(0.5)
        fleet.keep_up()
    assert watching.end().code == 0


def check_ended(work: KafkaRun, fleet: Fleet, model: Model, target: int, codes: Sequence[Path]) -> None:
    """Check that the run has reached its target, and that commands of each version see that."""
    for post in fleet.of(*_CALLING):
        fleet.stop(post)
    ledger = work.ledger_once(all_answers_are_decided)
    fleet.stop(*fleet.posts)
    check(ledger, target)
    assert (paid_twice(model), recorded_twice(ledger)) == (0, 0)
    for code in codes:
        status = run(work.folder, "status", "--json", settings=work.settings, code=code)
        assert status.code == 0, status.err
        facts = json.loads(status.out)
        assert (facts["finished"], facts["reached"], facts["dead_letters"]) == (target, True, {})
        exported = run(work.folder, "export", settings=work.settings, code=code)
        assert (exported.code, len(exported.lines)) == (0, target), exported.err


@pytest.mark.parametrize("new", [_CALLING, _DECIDING])
def test_each_role_may_be_of_either_version(
    kafka: Cluster, tmp_path: Path, earlier: Path, new: tuple[str, ...]
) -> None:
    with simulated(seed=3, time_to_first_token_s=0.05) as model:
        work = created(tmp_path, kafka, model)
        with work.fleet() as fleet:
            for role in (*_CALLING, *_DECIDING):
                fleet.add(role, code=CODE if role in new else earlier)
            set_goal(work, _TARGET, CODE if "producer" in new else earlier)
            with watched(tmp_path, work.settings) as watching:
                until_it_ends(fleet, watching)
            check_ended(work, fleet, model, _TARGET, (CODE, earlier))


def test_a_run_is_updated_process_by_process_and_set_back(kafka: Cluster, tmp_path: Path, earlier: Path) -> None:
    """Two processes of each role; the stop of one hands its partitions, or its role, to one of the other version."""
    with simulated(seed=4, time_to_first_token_s=0.3, time_to_first_token_std_dev_s=0.1) as model:
        work = created(tmp_path, kafka, model)
        with work.fleet() as fleet:
            posts = [fleet.add(*roles, code=earlier) for roles in (_CALLING, _DECIDING) for _ in range(2)]
            set_goal(work, 100_000, earlier)
            with watched(tmp_path, work.settings) as watching:
                for code in (CODE, earlier):
                    for post in posts:
                        fleet.keep_up_until_lines(watching, 10)
                        fleet.add(*post.roles, code=code)
                        fleet.stop(post)
                    posts = list(fleet.posts)
                    assert {post.code for post in posts} == {code}
                fleet.stop(*posts)
                target = len(work.ledger().tasks) + _TARGET
                set_goal(work, target, earlier)
                for post in posts:
                    fleet.add(*post.roles, code=earlier)
                until_it_ends(fleet, watching)
            check_ended(work, fleet, model, target, (CODE, earlier))
