"""The warning about examples in templates that are in another script than the seeds."""

from dataclasses import replace

import pytest

from service.dataset.example_warnings import example_warnings
from service.dataset.templates import load_templates
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form
from service.selfinstruct.tasks import Instance, SeedTask

TEMPLATES = load_templates(None)


def seeds(*instructions: str) -> list[SeedTask]:
    return [
        SeedTask(id=f"s{number}", name="a", instruction=text, instances=(Instance("", "x"),), is_classification=False)
        for number, text in enumerate(instructions)
    ]


RUSSIAN = seeds("Опишите осень.", "Назовите три реки.", "Sort these words.")


def test_examples_in_another_script_than_the_seeds_are_told() -> None:
    (told,) = example_warnings(SELF_INSTRUCT, TEMPLATES, RUSSIAN)
    assert "instances_generation.txt and instances_classification.txt" in told
    assert "--templates" in told


@pytest.mark.parametrize("of_seeds", [seeds("Describe autumn."), seeds("Décrivez l'été."), RUSSIAN[1:]])
def test_seeds_in_the_script_of_the_examples_are_no_news(of_seeds: list[SeedTask]) -> None:
    assert list(example_warnings(SELF_INSTRUCT, TEMPLATES, of_seeds)) == []


def test_recipes_that_show_no_examples_are_no_news() -> None:
    chat = replace(SELF_INSTRUCT, form=Form.JSON)
    assert list(example_warnings(chat, load_templates(None, Form.JSON), RUSSIAN)) == []
    assert list(example_warnings(ALPACA, TEMPLATES, RUSSIAN)) == []


def test_templates_in_the_script_of_the_seeds_are_no_news() -> None:
    own = replace(TEMPLATES, instances_generation="Пример: осень", instances_classification="Класс: осень")
    assert list(example_warnings(SELF_INSTRUCT, own, RUSSIAN)) == []
