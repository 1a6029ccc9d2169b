"""A model for each stage: two servers with two models and two prices."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import Model, simulated
from tests.acceptance.program import run

_PRICES = {
    "version": "2026-11",
    "models": {"small": {"prompt": 1.0, "completion": 2.0}, "large": {"prompt": 30.0, "completion": 70.0}},
}


@contextmanager
def two_models(**options: Any) -> Iterator[tuple[Model, Model]]:
    with simulated(seed=5, model="small", **options) as small, simulated(seed=6, model="large", **options) as large:
        yield small, large


def settings_of(small: Model, large: Model, **table: Any) -> dict[str, str]:
    stages = {"instances": {"model": "large", "lm_url": large.simulator.url, **table}}
    given = {"LM_URL": small.simulator.url, "MODEL": "small", "LM_API": "completions", "CONCURRENCY": "8"}
    return {**given, "STAGES": orjson.dumps(stages).decode(), "PRICES": orjson.dumps(_PRICES).decode()}


def bill(folder: Path, settings: dict[str, str]) -> Any:
    return orjson.loads(run(folder, "cost", "--json", settings=settings).out)


def picodollars(model: Model, prompt: int, completion: int) -> int:
    """Return what a model's own journal says that the answers which it told of cost."""
    totals = model.simulator.journal.totals
    return (totals.prompt_tokens * prompt + totals.completion_tokens * completion) * 10**6


def test_the_bill_by_stage_and_model_is_that_of_the_servers(tmp_path: Path) -> None:
    with two_models(failure_rates={"rate_limit": 5.0}) as (small, large):
        settings = settings_of(small, large)
        assert run(tmp_path, "run", "--target", "60", settings=settings).code == 0
        told = bill(tmp_path, settings)
        cheap, dear = picodollars(small, 1, 2), picodollars(large, 30, 70)
    models = told["models"]
    assert {stage: list(names) for stage, names in models.items()} == {
        "generate": ["small"],
        "classify": ["small"],
        "instances": ["large"],
    }
    costs = {stage: round(told["stages"][stage]["cost_usd"] * 10**12) for stage in models}
    assert costs["generate"] + costs["classify"] == cheap
    assert costs["instances"] == dear
    assert round(told["cost_usd"] * 10**12) == cheap + dear
    check(read_ledger(tmp_path), 60)


def test_a_run_goes_on_with_another_model_of_a_stage(tmp_path: Path) -> None:
    with two_models() as (small, large):
        first = run(tmp_path, "run", "--target", "10", settings=settings_of(small, large))
        assert first.code == 0, first.err
        asked_before = len(large.requests())
        again = settings_of(small, small, model="small")
        second = run(tmp_path, "run", "--target", "20", settings=again)
        assert second.code == 0, second.err
        assert len(large.requests()) == asked_before
        told = bill(tmp_path, again)
    assert sorted(told["models"]["instances"]) == ["large", "small"]
    shown = run(tmp_path, "cost", settings=again).out
    assert b"large" in shown
    check(read_ledger(tmp_path), 20)


def test_stages_ask_in_forms_of_their_own(tmp_path: Path) -> None:
    """Instructions in JSON over chat, and classification as text over completions, by one model."""
    with simulated(seed=7, model="small") as model:
        stages = {"classification": {"form": "text", "lm_api": "completions"}}
        settings = {
            "LM_URL": model.simulator.url,
            "MODEL": "small",
            "CONCURRENCY": "4",
            "STAGES": orjson.dumps(stages).decode(),
        }
        ended = run(tmp_path, "run", "--target", "10", settings=settings)
        assert ended.code == 0, ended.err
        asked = {(entry.path, entry.max_tokens) for entry in model.requests() if entry.max_tokens}
        assert asked == {("/v1/chat/completions", 1024), ("/v1/completions", 3)}
        status = orjson.loads(run(tmp_path, "status", "--json", settings=settings).out)
        assert status["recipe"]["form"] == "json"
        assert status["recipe"]["later_forms"] == {"classification": {"form": "text", "chat_model": False}}
        stages["classification"]["form"] = "json"
        refused = run(tmp_path, "run", "--target", "14", settings=settings | {"STAGES": orjson.dumps(stages).decode()})
        assert refused.code == 2
        assert "form of classification: the run asks in text, asked for json" in refused.err
    check(read_ledger(tmp_path), 10)


def test_a_check_names_the_stage_whose_model_is_away(tmp_path: Path) -> None:
    with two_models() as (small, large):
        settings = settings_of(small, large, lm_url="http://127.0.0.1:9/v1")
        ended = run(tmp_path, "check", settings=settings)
        assert ended.code == 2
        assert "the language model of instances cannot be reached" in ended.err
        assert not [entry for entry in small.requests() if entry.prompt_tokens]
        whole = run(tmp_path, "check", settings=settings_of(small, large))
        assert whole.code == 0, whole.err
        for line in ("instructions and classification: http://", "instances: http://", "estimate: "):
            assert line in whole.out.decode()
