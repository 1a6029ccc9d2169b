"""The forms of a recipe: the question, the sampling and the digest of each."""

import pytest

from service.dataset.seeds import load_seeds
from service.dataset.templates import load_templates
from service.errors import TemplateError
from service.selfinstruct.asking import (
    ask_for_instances,
    ask_for_tasks,
    ask_whether_classification,
)
from service.selfinstruct.model_input import CLASSIFICATION, TASKS, AnswerSchema, ModelInput, schema_of_tasks
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form, Recipe, RecipeName, Sampling, recipe_for
from service.selfinstruct.tasks import Instance
from service.selfinstruct.templates import MARKERS, Templates

TEMPLATES = {form: load_templates(None, form) for form in Form}
JSON = recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True)
ALPACA_JSON = recipe_for(RecipeName.ALPACA, Form.JSON, chat_model=True)
SHOWN = [("Name a\nriver.", Instance("", "The {{instruction}} Elbe")), ('Say "no".', None)]


def all_samplings(recipe: Recipe) -> list[Sampling]:
    steps = (
        recipe.instruction_sampling,
        recipe.classification_sampling,
        recipe.generation_instances_sampling,
        recipe.classification_instances_sampling,
    )
    return [sampling for sampling in steps if sampling is not None]


def questions(recipe: Recipe) -> list[ModelInput]:
    """Return one question of each kind."""
    templates = TEMPLATES[recipe.form]
    return [
        ask_for_tasks(recipe, templates, SHOWN),
        ask_for_tasks(recipe, templates, SHOWN, only_classification=True),
        ask_whether_classification(recipe, templates, "Name a river."),
        ask_for_instances(recipe, templates, "Name a river.", is_classification=True),
        ask_for_instances(recipe, templates, "Name a river.", is_classification=False),
    ]


def test_the_papers_recipes_are_those_for_base_models() -> None:
    assert recipe_for(RecipeName.SELF_INSTRUCT) is SELF_INSTRUCT
    assert recipe_for(RecipeName.ALPACA) is ALPACA


@pytest.mark.parametrize(
    ("recipe", "digest"),
    [
        (SELF_INSTRUCT, "2d28852cfbd0ab07"),
        (ALPACA, "00dde3543026dd60"),
        (recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True), "72ff0ce5bc6aa038"),
        (recipe_for(RecipeName.ALPACA, chat_model=True), "baca204c6546d8b4"),
        (recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON), "56b41449cfdfc82f"),
        (recipe_for(RecipeName.ALPACA, Form.JSON), "44882efafa06d6fa"),
        (JSON, "c8094cc07c52bd73"),
        (ALPACA_JSON, "2c691879edd0912f"),
    ],
    ids=lambda value: value.title if isinstance(value, Recipe) else value,
)
def test_the_digest_of_a_recipe_never_changes(recipe: Recipe, digest: str) -> None:
    assert recipe.digest == digest


@pytest.mark.parametrize("recipe", [JSON, ALPACA_JSON], ids=["self-instruct", "alpaca"])
def test_json_is_sampled_without_stops_and_penalties(recipe: Recipe) -> None:
    for sampling in all_samplings(recipe):
        assert (sampling.stop, sampling.presence_penalty, sampling.frequency_penalty) == ((), 0.0, 0.0)
        assert not sampling.ban_end_of_text


@pytest.mark.parametrize("text", ["1. A\n\n2. B", "Mix:\n200 g flour\n16 figs", "Errands\nTask: water the plants"])
def test_no_stop_string_of_a_chat_model_occurs_within_a_text(text: str) -> None:
    for name in RecipeName:
        for sampling in all_samplings(recipe_for(name, chat_model=True)):
            assert not any(stop in text for stop in sampling.stop)


def test_a_chat_model_has_room_for_a_verdict() -> None:
    verdict = recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True).classification_sampling
    assert verdict is not None
    assert (verdict.stop, verdict.max_tokens >= 16) == ((), True)


@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True)])
def test_the_text_form_has_no_system_message_and_no_schema(recipe: Recipe) -> None:
    assert all(question.system == "" and question.schema is None for question in questions(recipe))
    assert schema_of_tasks(recipe) is None


def test_the_json_form_has_two_messages_and_a_schema() -> None:
    for question in questions(JSON):
        assert question.schema is not None
        assert "JSON" in question.system
        assert all(name in question.system for name in question.schema.value["properties"])
        assert "{{" not in question.system + question.text
        assert question.as_text == f"{question.system}\n\n{question.text}"
    assert len({question.schema for question in questions(JSON)}) == 4


def test_the_json_form_shows_tasks_as_one_line_each() -> None:
    listed = ask_for_tasks(JSON, TEMPLATES[Form.JSON], SHOWN).text
    assert '[\n"Name a river.",\n"Say \\"no\\"."\n]' in listed
    whole = ask_for_tasks(ALPACA_JSON, TEMPLATES[Form.JSON], SHOWN)
    assert '[\n{"instruction": "Name a river.", "input": "", "output": "The {{instruction}} Elbe"}\n]' in whole.text
    assert whole.schema is TASKS


def test_a_label_is_asked_for_before_its_input() -> None:
    labelled = ask_for_instances(JSON, TEMPLATES[Form.JSON], "Sort it.", is_classification=True)
    free = ask_for_instances(JSON, TEMPLATES[Form.JSON], "Sort it.", is_classification=False)
    for question, order in ((labelled, ["output", "input"]), (free, ["input", "output"])):
        assert question.schema is not None
        assert list(question.schema.value["properties"]["instances"]["items"]["properties"]) == order


@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, JSON])
def test_only_yes_or_no_answers_the_classification_question(recipe: Recipe) -> None:
    check = ask_whether_classification(recipe, TEMPLATES[recipe.form], "Name a river.").check
    assert check is not None
    assert check.holds("Yes.")
    assert check.holds('{"is_classification": false}')
    assert not check.holds("It depends.")


def properties(schema: dict[str, object]) -> list[str]:
    assert isinstance(schema["properties"], dict)
    return [*schema["properties"]]


def every_object(schema: object) -> list[dict[str, object]]:
    if not isinstance(schema, dict):
        return []
    inner = [found for value in schema.values() for found in every_object(value)]
    return [schema, *inner] if schema.get("type") == "object" else inner


@pytest.mark.parametrize("recipe", [JSON, ALPACA_JSON], ids=["self-instruct", "alpaca"])
def test_schemas_are_strict_and_use_widely_supported_keywords(recipe: Recipe) -> None:
    for question in questions(recipe):
        assert question.schema is not None
        assert every_object(question.schema.value)
        for each in every_object(question.schema.value):
            assert set(each) == {"type", "properties", "required", "additionalProperties"}
            assert (each["additionalProperties"], each["required"]) == (False, properties(each))


@pytest.mark.parametrize(
    ("schema", "answer", "fits"),
    [
        (CLASSIFICATION, '{"is_classification": true}', True),
        (CLASSIFICATION, ' {"is_classification":\n false}\n', True),
        (CLASSIFICATION, '{"is_classification": "true"}', False),
        (CLASSIFICATION, '{"is_classification": true, "why": "so"}', False),
        (CLASSIFICATION, '```json\n{"is_classification": true}\n```', False),
        (CLASSIFICATION, "yes", False),
        (CLASSIFICATION, "", False),
        (TASKS, '{"tasks": []}', True),
        (TASKS, '{"tasks": [{"instruction": "a", "input": "", "output": "b"}]}', True),
        (TASKS, '{"tasks": [{"instruction": "a", "output": "b"}]}', False),
        (TASKS, '{"tasks": [{"instruction": "a", "input": null, "output": "b"}]}', False),
        (TASKS, "[" * 100_000, False),
    ],
)
def test_an_answer_fits_its_schema_or_not(schema: AnswerSchema, answer: str, *, fits: bool) -> None:
    assert schema.fits(answer) is fits


def test_a_template_without_its_marker_is_refused() -> None:
    with pytest.raises(TemplateError, match="instruction"):
        ask_whether_classification(JSON, Templates.of(dict.fromkeys(MARKERS, "x")), "Name a river.")


def test_a_template_may_have_no_system_message() -> None:
    values = dict.fromkeys(MARKERS, "x") | {"json_classification": "Is it? {{instruction}}"}
    asked = ask_whether_classification(JSON, Templates.of(values), "Name a river.")
    assert (asked.system, asked.text) == ("", "Is it? Name a river.")


def test_the_answers_that_our_templates_show_fit_their_schemas() -> None:
    for question in questions(JSON)[2:]:
        assert question.schema is not None
        shown = [line[line.index("{") :] for line in question.system.splitlines() if line.endswith("}") and "{" in line]
        answers = [line for line in shown if " or " not in line]
        assert len(answers) >= 4
        assert [answer for answer in answers if not question.schema.fits(answer)] == []


def test_no_example_of_our_templates_is_a_seed_task() -> None:
    seeds = {seed.instruction.strip().lower() for seed in load_seeds(None)}
    for text in (TEMPLATES[Form.JSON].json_classification, TEMPLATES[Form.JSON].json_instances_generation):
        assert not any(line.removeprefix("Task: ").strip().lower() in seeds for line in text.splitlines())
