import random
import re
from collections import Counter

import pytest

from service.dataset.seeds import load_seeds
from service.dataset.templates import load_templates
from service.selfinstruct.filters import refusal
from service.selfinstruct.instances import parse_instances, select_instances
from service.selfinstruct.recipe import ALPACA, RECIPES, SELF_INSTRUCT, Recipe
from service.selfinstruct.similarity import SimilarityIndex
from service.selfinstruct.tasks import Candidate, InstanceReason

SEEDS = load_seeds(None)
TEMPLATES = load_templates(None)


def test_there_are_175_seed_tasks_and_25_are_classification() -> None:
    assert len(SEEDS) == 175
    assert sum(seed.is_classification is True for seed in SEEDS) == 25
    assert len({seed.id for seed in SEEDS}) == len({seed.name for seed in SEEDS}) == 175


def test_no_two_seed_tasks_are_nearer_than_the_filter_allows() -> None:
    index = SimilarityIndex(0.7)
    for seed in SEEDS:
        assert index.nearest(seed.instruction) is None
        index.add(seed.instruction)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
def test_every_seed_task_passes_the_filters_of_its_own_pool(recipe: Recipe) -> None:
    refused = {seed.id: refusal(recipe.filters, Candidate(0, seed.instruction)) for seed in SEEDS}
    assert {name: reason for name, reason in refused.items() if reason is not None} == {}


def test_every_seed_task_has_valid_instances() -> None:
    for seed in SEEDS:
        assert not isinstance(select_instances(seed.instances, 5, random_source()), InstanceReason), seed.id


def test_the_seed_tasks_are_varied_in_form() -> None:
    with_input = sum(bool(instance.input) for seed in SEEDS for instance in seed.instances[:1])
    openings = Counter(seed.instruction.split()[0].lower() for seed in SEEDS)
    lengths = [len(seed.instruction.split()) for seed in SEEDS]
    assert 60 <= with_input <= 115
    assert max(openings.values()) <= 17
    assert min(lengths) <= 7
    assert max(lengths) >= 50


def test_the_classification_prompt_shows_12_yes_and_19_no() -> None:
    answers = re.findall(r"^Is it classification\? (Yes|No)$", TEMPLATES.classification, re.MULTILINE)
    assert Counter(answers) == {"Yes": 12, "No": 19}
    assert TEMPLATES.classification.endswith("Is it classification?")


@pytest.mark.parametrize("classification", [True, False])
def test_the_worked_instances_are_read_by_the_parser(*, classification: bool) -> None:
    template = TEMPLATES.instances_classification if classification else TEMPLATES.instances_generation
    for block in template.split("Task: ")[1:-1]:
        reply = block.split("\n", 1)[1]
        instances = parse_instances(SELF_INSTRUCT, reply, is_classification=classification, truncated=False)
        assert not isinstance(select_instances(instances, 10, random_source()), InstanceReason), block


def test_no_demonstration_template_contains_a_stop_string() -> None:
    for text, recipe in (
        (TEMPLATES.instructions, SELF_INSTRUCT),
        (TEMPLATES.instructions_classification, SELF_INSTRUCT),
        (TEMPLATES.alpaca, ALPACA),
    ):
        stops = [stop for stop in recipe.instruction_sampling.stop if stop.strip()]
        assert [stop for stop in stops if stop in text] == []


def random_source() -> random.Random:
    return random.Random(0)
