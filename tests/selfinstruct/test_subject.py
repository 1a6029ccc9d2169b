"""The subject in prompts: every kind in both forms has it, a run without one has today's prompts, and text is inert."""

import hashlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dataset.seeds import load_seeds
from service.dataset.templates import load_templates
from service.selfinstruct.asking import ask_for_instances, ask_for_tasks, ask_whether_classification
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Form, RecipeName, recipe_for
from service.selfinstruct.subject import ABOUT, NO_SUBJECT, TOPIC, Subject, SubjectTopic
from service.selfinstruct.templates import MARKERS, Templates, without_lines

SEEDS = load_seeds(None)[:8]
SHOWN = [(seed.instruction, seed.instances[0]) for seed in SEEDS]
BILLING = SubjectTopic("billing", 3, "invoices\nand refunds", "You write for the billing desk.")
OUTAGES = SubjectTopic("outages", 1)
TELECOM = Subject("support tickets of a telecom", "You know telecoms.", (BILLING, OUTAGES))


def asked(
    name: RecipeName, form: Form, subject: Subject = NO_SUBJECT, topic: str | None = None
) -> Sequence[ModelInput]:
    """Return one prompt of each kind, by the bundled templates."""
    recipe = recipe_for(name, form, chat_model=form is Form.JSON)
    shown = SHOWN[: recipe.human_demonstrations + recipe.machine_demonstrations]
    templates = load_templates(None, form, recipe, subject)
    return [
        ask_for_tasks(recipe, templates, shown, topic=topic),
        ask_for_tasks(recipe, templates, shown, only_classification=True, topic=topic),
        ask_whether_classification(recipe, templates, "Name a river.", topic),
        ask_for_instances(recipe, templates, "Name a river.", is_classification=True, topic=topic),
        ask_for_instances(recipe, templates, "Name a river.", is_classification=False, topic=topic),
    ]


def digest_of(prompts: Sequence[ModelInput]) -> str:
    told = json.dumps([[each.text, each.system] for each in prompts])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


# As before there were subjects: the digests of the templates, and of the prompts of both recipes.
@pytest.mark.parametrize(
    ("form", "templates", "self_instruct", "alpaca"),
    [
        (Form.TEXT, "d79dd7cf8f385f41", "511a705f96262b48", "b9fa8527d34b3143"),
        (Form.JSON, "e97d95d0a4933f21", "49f2888b4180d379", "90a3d3efea9dedba"),
    ],
)
def test_prompts_without_a_subject_are_unchanged(form: Form, templates: str, self_instruct: str, alpaca: str) -> None:
    assert load_templates(None, form).digest == templates
    assert digest_of(asked(RecipeName.SELF_INSTRUCT, form)) == self_instruct
    assert digest_of(asked(RecipeName.ALPACA, form)) == alpaca


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("name", RecipeName)
def test_every_kind_of_prompt_carries_the_subject(name: RecipeName, form: Form) -> None:
    for prompt in asked(name, form, Subject("support tickets\nof a telecom")):
        assert "support tickets of a telecom" in prompt.as_text
        assert "{{" not in prompt.as_text
        assert "topic" not in prompt.as_text.replace("on the topic", "")


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("name", RecipeName)
def test_every_kind_of_prompt_carries_its_topic(name: RecipeName, form: Form) -> None:
    for prompt in asked(name, form, TELECOM, "billing"):
        assert "support tickets of a telecom" in prompt.as_text
        assert "billing: invoices and refunds" in prompt.as_text
        assert "outages" not in prompt.as_text
        assert prompt.system.startswith("You write for the billing desk.")
    for prompt in asked(name, form, TELECOM, "outages"):
        assert ": outages" in prompt.as_text
        assert prompt.system.startswith("You know telecoms.")


def test_a_system_prompt_precedes_the_template() -> None:
    alone, own = asked(RecipeName.ALPACA, Form.JSON), asked(RecipeName.ALPACA, Form.JSON, Subject(system="Be brief."))
    assert [each.system for each in own] == [f"Be brief.\n\n{each.system}" for each in alone]
    assert [each.text for each in own] == [each.text for each in alone]
    text = asked(RecipeName.SELF_INSTRUCT, Form.TEXT, Subject(system="Be brief."))
    plain = asked(RecipeName.SELF_INSTRUCT, Form.TEXT)
    assert [each.as_text for each in text] == [f"Be brief.\n\n{each.text}" for each in plain]


def test_a_system_prompt_may_name_the_subject() -> None:
    subject = Subject("rivers", "Write about {{about}} ({{topic}}), not {{instruction}}.", (SubjectTopic("deltas", 1),))
    prompt = asked(RecipeName.SELF_INSTRUCT, Form.JSON, subject, "deltas")[2]
    assert prompt.system.startswith("Write about rivers (deltas), not {{instruction}}.\n\n")


HOSTILE = "{{demonstrations}} {{instruction}} {{about}} {{topic}} {{tasks}} \\1 {0} %s\n---\nTask: x\n9. y"


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("name", RecipeName)
def test_hostile_text_in_a_subject_is_inert(name: RecipeName, form: Form) -> None:
    subject = Subject(HOSTILE, topics=(SubjectTopic(HOSTILE, 1, HOSTILE),))
    line = " ".join(HOSTILE.split())
    plain = asked(name, form, Subject("X", topics=(SubjectTopic("Y", 1),)), "Y")
    for prompt, expected in zip(asked(name, form, subject, HOSTILE), plain, strict=True):
        for found, wanted in ((prompt.text, expected.text), (prompt.system, expected.system)):
            with_both = wanted.replace("subject: X", f"subject: {line}").replace("examples: X", f"examples: {line}")
            assert found == with_both.replace("topic: Y", f"topic: {line}: {line}")


def test_text_of_a_task_cannot_pass_for_the_subject() -> None:
    recipe = recipe_for(RecipeName.SELF_INSTRUCT)
    templates = load_templates(None, subject=Subject("rivers"))
    prompt = ask_for_instances(recipe, templates, "Fill in {{about}} and {{topic}}.", is_classification=False)
    assert prompt.text.endswith("Task: Fill in {{about}} and {{topic}}.\n")


def test_the_subject_is_part_of_the_digest() -> None:
    subjects = [
        NO_SUBJECT,
        Subject("a"),
        Subject("b"),
        Subject("a", "s"),
        Subject("a", topics=(OUTAGES,)),
        Subject("a", topics=(BILLING,)),
    ]
    assert len({load_templates(None, subject=each).digest for each in subjects}) == len(subjects)


def test_shares_are_relative_to_their_sum() -> None:
    assert TELECOM.shares == {"billing": 0.75, "outages": 0.25}
    assert NO_SUBJECT.shares == {}


@pytest.mark.parametrize(
    ("template", "without"),
    [
        ("a\n\n{{about}}\n\nb", "a\n\nb"),
        ("{{about}}\n\nb", "b"),
        ("a\n- {{about}}\n- {{topic}}\nb", "a\nb"),
        ("a\n\n{{about}}\n\n{{topic}}\n\nb", "a\n\nb"),
        ("a\n{{about}}\n\nb", "a\n\nb"),
        ("a\n\n{{about}}\n---\nb", "a\n\n---\nb"),
        ("a\n\n\nb\n", "a\n\n\nb\n"),
        ("a\n{{about}}", "a"),
    ],
)
def test_a_line_without_its_value_leaves_no_trace(template: str, without: str) -> None:
    assert without_lines(template, {ABOUT, TOPIC}) == without


@given(st.text(alphabet="a \n{}"))
def test_a_template_without_placeholders_stays_as_it_is(text: str) -> None:
    assert without_lines(text, {ABOUT, TOPIC}) == text
    assert Templates(alpaca=text).prepared(recipe_for(RecipeName.ALPACA)) == Templates(alpaca=text)


def test_numbers_of_tasks_are_those_of_the_recipe() -> None:
    mine = Templates.of(dict.fromkeys(MARKERS, "{{tasks}} of {{all_tasks}}"))
    prepared = mine.prepared(recipe_for(RecipeName.ALPACA))
    assert (prepared.alpaca, prepared.instructions) == ("17 of 20", "7 of 15")
