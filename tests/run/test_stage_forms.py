"""The form of each stage: from its table, stamped on the run, and compared with the settings of later commands."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from anyio import to_thread
from msgspec import structs

from service.errors import RunMismatchError
from service.messaging import codec, topics
from service.messaging.messages import ClassifiedInstruction, RunDefined, TaskInstances
from service.pipeline.stages import calling_stages
from service.run.definition import AskedRun, check_same
from service.selfinstruct.recipe import Form, LaterForms, RecipeName, StepForm, recipe_for, recipe_in
from service.selfinstruct.steps import Step
from service.settings import load_settings
from tests.fakes.models import ScriptedModel, by_marker
from tests.messaging.test_codec import as_read
from tests.support import examples
from tests.support.logs import RUN

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]

SERVED = {"lm_url": "http://a/v1", "model": "m"}
BY_TEXT = {"form": "text", "lm_api": "completions"}
TEXT, CHAT_JSON = StepForm(Form.TEXT, chat_model=False), StepForm(Form.JSON, chat_model=True)


def asked(**flags: Any) -> AskedRun:
    return AskedRun(load_settings({**SERVED, **flags}))


def defined(**flags: Any) -> RunDefined:
    return asked(**flags).new.definition


@pytest.mark.parametrize("name", RecipeName)
@pytest.mark.parametrize("form", [TEXT, CHAT_JSON])
def test_one_form_for_all_steps_is_the_published_recipe(name: RecipeName, form: StepForm) -> None:
    published = recipe_for(name, form.form, chat_model=form.chat_model)
    assert recipe_in(name, dict.fromkeys(Step, form)) == published
    assert all(published.of(step) is published for step in Step)


def test_each_step_has_the_sampling_of_its_form() -> None:
    recipe = defined(stages={"classification": BY_TEXT}).recipe
    text, json = (
        recipe_for(RecipeName.SELF_INSTRUCT, each.form, chat_model=each.chat_model) for each in (TEXT, CHAT_JSON)
    )
    assert recipe.later_forms == LaterForms(classification=TEXT)
    assert recipe.classification_sampling == text.classification_sampling
    assert recipe.instruction_sampling == json.instruction_sampling
    assert recipe.generation_instances_sampling == json.generation_instances_sampling
    assert recipe.title == "self-instruct, form json for chat models; classification: text"
    assert len({recipe.digest, text.digest, json.digest}) == 3


def test_the_first_step_may_differ_from_the_others() -> None:
    recipe = defined(lm_api="completions", stages={"instructions": {"lm_api": "chat"}}).recipe
    assert (recipe.form, recipe.chat_model, recipe.capitalize) == (Form.JSON, True, False)
    assert recipe.later_forms == LaterForms(TEXT, TEXT)


def test_a_run_has_the_templates_of_all_its_forms(tmp_path: Path) -> None:
    templates = defined(stages={"classification": BY_TEXT}).templates
    assert templates.json_instructions
    assert templates.classification
    tmp_path.joinpath("classification.txt").write_text("Mine: {{instruction}}")
    mine = defined(form="json", stages={"classification": BY_TEXT}, templates=tmp_path).templates
    assert (mine.classification, mine.json_instructions) == ("Mine: {{instruction}}", templates.json_instructions)


async def test_stages_ask_and_read_in_their_own_form() -> None:
    definition = await to_thread.run_sync(lambda: defined(stages={"classification": BY_TEXT}))
    replies = {"Is it classification?": " Yes", "class_label": '{"instances": [{"output": "a", "input": "b"}]}'}
    model = ScriptedModel(by_marker(replies, '{"instances": [{"output": "Po", "input": "Italy"}]}'))
    _, classify, write = calling_stages(definition, lambda _: model)
    (classified,) = await classify(examples.instruction("p0.0"))
    assert isinstance(classified, ClassifiedInstruction)
    assert classified.is_classification
    (written,) = await write(structs.replace(classified, is_classification=False))
    assert isinstance(written, TaskInstances)
    assert [(each.input, each.output) for each in written.instances] == [("Italy", "Po")]
    asked_by_text, asked_by_json = model.asked
    assert definition.templates.classification.split("{{instruction}}")[0] in asked_by_text
    assert "JSON" in asked_by_json


def test_a_record_without_forms_of_later_steps_is_as_before() -> None:
    written = orjson.loads(defined().to_json())
    assert "later_forms" not in written["recipe"]
    mixed = defined(stages={"instances": BY_TEXT})
    again = codec.decode(topics.CONTROL, as_read(codec.encode(mixed, RUN)))
    assert again == mixed


def test_a_model_is_no_part_of_the_definition_and_a_form_is() -> None:
    existing = defined(stages={"classification": BY_TEXT})
    other = {"classification": {"model": "n", "lm_url": "http://b/v1", "lm_api": "completions"}}
    for same in ({}, other, {"classification": BY_TEXT}, {"instances": {"model": "n"}}):
        check_same(existing, asked(stages=same))
    with pytest.raises(RunMismatchError, match="form of classification: the run asks in text, asked for json"):
        check_same(existing, asked(stages={"classification": {"form": "json"}}))
    with pytest.raises(RunMismatchError, match="form of classification: the run asks in text, asked for json"):
        check_same(existing, asked(form="json"))
    with pytest.raises(RunMismatchError, match="form of instances: the run asks in json, asked for text"):
        check_same(existing, asked(stages={"instances": {"form": "text"}}))
    with pytest.raises(RunMismatchError, match="\n  form: the run asks in json, asked for text\n"):
        check_same(defined(), asked(form="text"))


def test_a_version_that_does_not_know_a_form_of_a_step_stops() -> None:
    fields = orjson.loads(defined(stages={"instances": BY_TEXT}).to_json())
    fields["recipe"]["later_forms"]["generation"] = {"form": "text", "chat_model": False}
    with pytest.raises(ValueError, match=r"later_forms.generation: no parameter of a recipe"):
        RunDefined.check_json(orjson.dumps(fields))
