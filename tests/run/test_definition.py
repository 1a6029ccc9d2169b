import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import ConfigurationError, RunMismatchError
from service.run.definition import AskedRun, check_same
from service.selfinstruct.recipe import ALPACA
from service.settings import load_settings

pytestmark = pytest.mark.usefixtures("no_settings")


def asked(**flags: Any) -> AskedRun:
    return AskedRun(load_settings(flags))


def seed_file(name: str, count: int, word: str = "river") -> Path:
    lines = [
        {
            "id": f"s{number}",
            "instruction": f"Name the {word} number {number}.",
            "instances": [{"input": "", "output": "x"}],
            "is_classification": False,
        }
        for number in range(count)
    ]
    path = Path(name)
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_a_run_is_defined_by_its_options() -> None:
    definition, seeds = asked(run="x", recipe="alpaca", seeds=seed_file("a.jsonl", 4), seed=7).new
    assert (definition.run, definition.recipe, definition.random_seed) == ("x", ALPACA, 7)
    assert (definition.seed_count, [seed.id for seed in seeds]) == (4, ["s0", "s1", "s2", "s3"])
    assert definition.made_by.startswith("seedstream ")


@pytest.mark.parametrize(("recipe", "needed"), [("self-instruct", 8), ("alpaca", 3)])
def test_there_are_as_many_seeds_as_a_prompt_shows(recipe: str, needed: int) -> None:
    _ = asked(recipe=recipe, seeds=seed_file("enough.jsonl", needed)).new
    with pytest.raises(ConfigurationError, match=f"shows {needed} tasks .* got {needed - 1}"):
        _ = asked(recipe=recipe, seeds=seed_file("few.jsonl", needed - 1)).new


def test_a_run_resumes_with_the_same_options_or_none() -> None:
    flags = {"recipe": "alpaca", "seeds": seed_file("a.jsonl", 4), "seed": 7}
    existing, _ = asked(**flags).new
    check_same(existing, asked(**flags))
    check_same(existing, asked())
    check_same(existing, asked(target=1_000, concurrency=3))


def test_seed_files_with_the_same_content_are_the_same() -> None:
    existing, _ = asked(seeds=seed_file("a.jsonl", 8)).new
    check_same(existing, asked(seeds=seed_file("b.jsonl", 8)))


def test_missing_options_are_taken_from_the_run() -> None:
    """Four seeds are enough for the run's own recipe, and the options named no other recipe."""
    seeds = seed_file("a.jsonl", 4)
    existing, _ = asked(recipe="alpaca", seeds=seeds).new
    check_same(existing, asked(seeds=seeds))


def test_every_difference_is_shown_at_once() -> None:
    existing, _ = asked(run="x", seeds=seed_file("a.jsonl", 8)).new
    Path("mine").mkdir()
    Path("mine/alpaca.txt").write_text("Other: {{demonstrations}}")
    wanted = asked(run="x", recipe="alpaca", seeds=seed_file("b.jsonl", 9, "lake"), seed=1, templates=Path("mine"))
    with pytest.raises(RunMismatchError) as caught:
        check_same(existing, wanted)
    message = str(caught.value)
    for part in (
        "run 'x' exists",
        "\n  recipe: the run has self-instruct, asked for alpaca\n",
        f"seeds: the run has 8 with digest {existing.seeds}, asked for 9",
        "templates.alpaca: ",
        "Other: {{demonstrations}}",
        "seed: the run has 0, asked for 1",
        "--run",
    ):
        assert part in message
    for same in ("recipe.", "flowchart", "templates.classification"):
        assert same not in message


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_the_source_of_a_setting_does_not_matter(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    existing, _ = asked().new
    if source == "environment":
        monkeypatch.setenv("SEEDSTREAM_SEED", "5")
    if source == "file":
        Path("seedstream.toml").write_text("seed = 5\n")
    with pytest.raises(RunMismatchError, match="seed: the run has 0, asked for 5"):
        check_same(existing, asked(seed=5) if source == "flag" else asked())


def test_an_explicit_default_is_compared_with_the_run() -> None:
    existing, _ = asked(seed=5).new
    check_same(existing, asked())
    with pytest.raises(RunMismatchError, match="the run has 5, asked for 0"):
        check_same(existing, asked(seed=0))
