import json
from pathlib import Path

import pytest

from service.cli.goal import next_step
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Recipe
from service.settings import load_settings
from tests.support import examples
from tests.support.commands import invoke


@pytest.mark.parametrize("broker", ["sqlite:runs", "kafka://localhost:1"])
def test_a_goal_that_is_reached_already_leaves_nothing_to_do(broker: str) -> None:
    settings = load_settings({"broker": broker, "run": "r"})
    for finished in (5, 6):
        assert next_step(settings, SELF_INSTRUCT, examples.goal(5), finished).startswith("nothing is left to do")


def test_a_goal_on_the_embedded_log_names_the_next_command() -> None:
    settings = load_settings({"run": "r"})
    assert "`seedstream run --run r`" in next_step(settings, SELF_INSTRUCT, examples.goal(5), 4)


@pytest.mark.parametrize(
    ("recipe", "roles"),
    [
        (SELF_INSTRUCT, "producer, generate, classify, instances, admit, finish"),
        (ALPACA, "producer, generate, admit, finish"),
    ],
)
def test_a_goal_on_kafka_names_the_roles_that_it_needs(recipe: Recipe, roles: str) -> None:
    settings = load_settings({"broker": "kafka://localhost:1", "run": "r"})
    assert f"the roles {roles};" in next_step(settings, recipe, examples.goal(5), 4)


def test_a_goal_says_that_a_run_is_new(tmp_path: Path) -> None:
    flags = ("--broker", f"sqlite:{tmp_path}", "--run", "nope", "--lm-api", "completions")
    first = invoke("goal", *flags, "--target", "5")
    second = invoke("goal", *flags, "--target", "6")
    assert (first.exit_code, second.exit_code) == (0, 0), first.exception
    assert first.stderr.startswith("new run 'nope' (")
    assert second.stderr.startswith("run 'nope' (")


def test_a_goal_pauses_and_resumes_a_run(tmp_path: Path) -> None:
    flags = ("--broker", f"sqlite:{tmp_path}", "--run", "nope", "--lm-api", "completions")
    invoke("goal", *flags, "--target", "5")
    paused = invoke("goal", *flags, "--pause")
    assert "target 5 finished tasks" in paused.stderr
    assert "`seedstream goal --run nope --resume`" in paused.stderr
    assert json.loads(invoke("status", *flags[:4], "--json").stdout)["paused"] is True
    assert "it is paused" in invoke("goal", *flags, "--rpm", "60").stderr, "another limit does not resume it"
    assert "it is paused" not in invoke("goal", *flags, "--resume").stderr
    assert json.loads(invoke("status", *flags[:4], "--json").stdout)["paused"] is False
