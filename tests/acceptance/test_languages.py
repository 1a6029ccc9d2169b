"""Runs in Chinese, Russian and Turkish, and one of code tasks, each with a recipe of its own."""

from collections import Counter
from pathlib import Path

import pytest

from service.messaging.messages import Decision, Origin, PooledTask
from tests.acceptance.invariants import ALWAYS, AT_REST
from tests.acceptance.ledger import Ledger, read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run, run_side_by_side
from tests.selfinstruct import reference

SEEDS = Path(__file__).with_name("seeds")
TARGET = 60
RATES = {"near_duplicate_rate": 0.15, "blocked_word_rate": 0.1, "too_short_rate": 0.08}
RECIPES = {
    "zh": 'extends = "self-instruct"\n[filters]\nlanguage = "any"\nblocked_words = ["图片", "文件", "地图"]',
    "ru": 'extends = "self-instruct"\n[filters]\nlanguage = "any"\nblocked_words = ["карту", "файл", "картинку"]',
    "tr": 'extends = "self-instruct"\n[filters]\nlanguage = "any"\nblocked_words = ["harita", "dosya", "resimde"]',
    "code": (
        'extends = "self-instruct"\ncapitalize = false\n'
        '[filters]\nblocked_openings = []\nblocked_words = ["image", "graph", "map"]'
    ),
}


def accepted(ledger: Ledger) -> list[str]:
    return [task.instruction for task in ledger.all(PooledTask) if task.origin is Origin.MACHINE]


def scores_of_the_refused_are_those_of_rouge_score(ledger: Ledger) -> int:
    """Compare the score of each refused candidate with that of `rouge_score`, and return how many there are."""
    score = reference.scorer_of(ledger.definition.recipe.filters.language)
    texts = {task.id: task.instruction for task in ledger.all(PooledTask)}
    candidates = ledger.candidates
    refused = [each for decision in ledger.all(Decision) for each in decision.verdicts if each.nearest is not None]
    for verdict in refused:
        assert verdict.nearest is not None
        assert verdict.score == score(candidates[verdict.id], texts[verdict.nearest])
    return len(refused)


@pytest.mark.parametrize("vocabulary", RECIPES)
def test_a_run_in_any_script_reaches_its_target(vocabulary: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(RECIPES[vocabulary], "utf-8")
    with simulated(vocabulary=vocabulary, **RATES) as model:
        own = ("--seeds", SEEDS / f"{vocabulary}.jsonl", "--recipe", "own.toml")
        ended = run(tmp_path, "run", *model.flags, *own, "--target", str(TARGET), "--concurrency", "8")
    assert (ended.code, len(ended.tasks)) == (0, TARGET), ended.err
    told = [line for line in ended.err.splitlines() if line.startswith("beware")]
    assert all("the examples in instances_generation.txt" in line for line in told), told
    ledger = read_ledger(tmp_path)
    for invariant in (*ALWAYS, *AT_REST):
        invariant(ledger)
    assert scores_of_the_refused_are_those_of_rouge_score(ledger) > 5
    verdicts = [each for decision in ledger.all(Decision) for each in decision.verdicts]
    reasons = Counter("accepted" if each.reason is None else str(each.reason) for each in verdicts)
    assert min(reasons["too_similar"], reasons["blocked_word"], reasons["too_short"]) > 0
    assert not reasons["leading_non_ascii"]
    assert reasons["accepted"] == len(accepted(ledger)) > sum(reasons.values()) / 3
    if vocabulary == "code":
        assert any(text.startswith("Write a program") for text in accepted(ledger))
        assert any("parseUserName" in text for text in accepted(ledger))
        assert any("file" in text for text in accepted(ledger))
    else:
        assert any(not text[0].isascii() for text in accepted(ledger))


def test_check_and_run_tell_of_refused_seeds_before_any_call(tmp_path: Path) -> None:
    with simulated() as model:
        commands = [
            (command, *model.flags, "--seeds", SEEDS / f"{vocabulary}.jsonl", "--run", f"{command}-{vocabulary}")
            for command in ("check", "run")
            for vocabulary in ("zh", "ru")
        ]
        refused = run_side_by_side(tmp_path, *commands)
        assert model.requests() == []
        turkish, code, any_language = run_side_by_side(
            tmp_path,
            ("check", *model.flags, "--seeds", SEEDS / "tr.jsonl"),
            ("check", *model.flags, "--seeds", SEEDS / "code.jsonl", "--run", "code"),
            ("check", *model.flags, "--seeds", SEEDS / "ru.jsonl", "--language", "any", "--run", "any"),
        )
    for ended in refused:
        assert ended.code == 2
        assert "would refuse every one of these 12 seed tasks" in ended.err
        assert "(leading_non_ascii 1" in ended.err
        assert "`--language any` is for other languages" in ended.err
    assert "4 of 12 seed tasks would be refused if a model had written them (leading_non_ascii 4)" in _told(turkish.out)
    assert "2 of 12 seed tasks would be refused if a model had written them (blocked_" in _told(code.out)
    assert "`--recipe FILE.toml`" in _told(code.out)
    assert "seed tasks have names in mixed case" in _told(code.out)
    assert (any_language.code, "seeds beware" in _told(any_language.out)) == (0, False), any_language.err


def _told(out: bytes) -> str:
    return " ".join(out.decode().split())
