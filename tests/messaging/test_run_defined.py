"""The recipe in the definition of a run: earlier versions read a published one, and refuse knobs that they lack."""

import json
from dataclasses import replace
from typing import Any

import pytest

from service.messaging import codec, topics
from service.messaging.broker import Partition, Record
from service.messaging.messages import Message
from service.messaging.unknown_fields import refuse_unknown
from service.selfinstruct.recipe import SELF_INSTRUCT, Language, Recipe, without_unset
from service.selfinstruct.recipe_changes import with_language
from tests.support import examples
from tests.support.logs import RUN

FILTERS = SELF_INSTRUCT.filters
OWN = {
    "tasks_per_reply": replace(SELF_INSTRUCT, tasks_per_reply=12),
    "filters.allow_non_ascii": replace(SELF_INSTRUCT, filters=replace(FILTERS, allow_non_ascii=True)),
    "filters.language": replace(SELF_INSTRUCT, filters=replace(FILTERS, language=Language.ANY)),
}


def written(recipe: Recipe) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(examples.definition(8, recipe).to_json())["recipe"]
    return value


def read(recipe: Recipe) -> Message:
    record = codec.encode(examples.definition(8, recipe), RUN)
    return codec.decode(
        topics.CONTROL, Record(Partition(record.topic, 0), 0, record.key, record.value, record.headers, 0)
    )


@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, with_language(SELF_INSTRUCT, Language.ANY), *OWN.values()])
def test_a_recipe_is_read_as_it_was_written(recipe: Recipe) -> None:
    assert read(recipe) == examples.definition(8, recipe)


def test_a_published_recipe_has_no_knob_of_a_later_version() -> None:
    recipe = written(SELF_INSTRUCT)
    assert "tasks_per_reply" not in recipe
    assert not {"language", "allow_non_ascii"} & recipe["filters"].keys()


@pytest.mark.parametrize("name", OWN)
def test_a_knob_that_is_set_is_written_and_is_not_empty(name: str) -> None:
    """An earlier version passes over unknown knobs that are empty, and refuses others."""
    value: Any = written(OWN[name])
    for part in name.split("."):
        value = value[part]
    assert value
    with pytest.raises(ValueError, match=r"newer one has set it"):
        refuse_unknown(Recipe, {"a_later_knob": value}, "parameter of a recipe")


def test_leaving_out_unset_knobs_changes_nothing_else() -> None:
    fields = {**written(SELF_INSTRUCT), "tasks_per_reply": None, "later_forms": None}
    fields["filters"] = {**fields["filters"], "language": "en", "allow_non_ascii": False}
    assert without_unset(fields) == written(SELF_INSTRUCT)
    assert fields["filters"]["language"] == "en"
