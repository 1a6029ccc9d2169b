"""The expected cost of a target before the first call, from the lengths of the texts or from one call of each step.

The rates are assumptions until a run has its own; the `basis` of a result names them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from types import MappingProxyType

from msgspec import Struct

from service.billing.bill import CLASSIFY, GENERATE, INSTANCES
from service.billing.pricing import Price, cost_usd
from service.lm.usage import Usage
from service.selfinstruct.asking import ask_for_instances, ask_whether_classification
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Form, Recipe
from service.selfinstruct.steps import Step
from service.selfinstruct.tasks import SeedTask
from service.selfinstruct.templates import Templates

# For English text; a model's own count differs by some ten percent.
_CHARACTERS_PER_TOKEN = 4.3
_ACCEPTED = 0.5
_FINISHED = 0.9
_INSTANCES_PER_TASK = 2
_VERDICT_TOKENS = {Form.TEXT: 2, Form.JSON: 8}
_MARKS_PER_TEXT = {Form.TEXT: 3, Form.JSON: 5}
_LEAST_RATE = 0.05
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Rates:
    """Token usage of one call of each step, accepted tasks per prompt, and the share of these that is finished."""

    calls: Mapping[str, Usage]
    accepted_per_prompt: float
    finished: float
    basis: str


class CostEstimate(Struct, frozen=True):
    """Expected calls, tokens and US dollars for `tasks` finished tasks; `usd` is None without a price of each stage."""

    tasks: int
    calls: int
    usage: Usage
    usd: float | None
    basis: str


def rates_by_length(recipe: Recipe, templates: Templates, seeds: Sequence[SeedTask], prompt: ModelInput) -> Rates:
    """Return rates from the lengths of one prompt and of the seeds, on the assumption that replies resemble seeds."""
    classification, instances = recipe.of(Step.CLASSIFICATION), recipe.of(Step.INSTANCES)
    instruction = _middle([seed.instruction for seed in seeds]) + _MARKS_PER_TEXT[recipe.form]
    marks = _MARKS_PER_TEXT[instances.form]
    instance = _middle([f"{seed.instances[0].input} {seed.instances[0].output}" for seed in seeds]) + 2 * marks
    written = recipe.most_tasks
    if not recipe.has_classification_step:
        calls = {GENERATE: Usage(_tokens(prompt.as_text), ceil(written * (instruction + instance)))}
        return Rates(calls, written * _ACCEPTED, 1.0, _basis_by_length("5 in 10 of the tasks written are accepted"))
    example = seeds[0].instruction
    whether = ask_whether_classification(classification, templates, example)
    examples = ask_for_instances(instances, templates, example, is_classification=False)
    calls = {
        GENERATE: Usage(_tokens(prompt.as_text), ceil(written * instruction)),
        CLASSIFY: Usage(_tokens(whether.as_text), _VERDICT_TOKENS[classification.form]),
        INSTANCES: Usage(_tokens(examples.as_text), ceil(_INSTANCES_PER_TASK * instance)),
    }
    basis = _basis_by_length("5 in 10 of the tasks written are accepted, and 9 in 10 of those finished")
    return Rates(calls, written * _ACCEPTED, _FINISHED, basis)


def estimate_cost(
    rates: Rates, tasks: int, prices: Mapping[str, Price] = MappingProxyType({}), *, batch: bool = False
) -> CostEstimate:
    """Return the expected calls, tokens and cost of `tasks` finished tasks, with prices by stage."""
    accepted = tasks / max(rates.finished, _LEAST_RATE)
    prompts = accepted / max(rates.accepted_per_prompt, _LEAST_RATE)
    counts = {name: prompts if name == GENERATE else accepted for name in rates.calls}
    usage = Usage(
        ceil(sum(counts[name] * each.prompt_tokens for name, each in rates.calls.items())),
        ceil(sum(counts[name] * each.completion_tokens for name, each in rates.calls.items())),
    )
    usd = None
    if rates.calls.keys() <= prices.keys():
        usd = sum(counts[name] * cost_usd(prices[name], each, batch=batch) for name, each in rates.calls.items())
    return CostEstimate(tasks, ceil(sum(counts.values())), usage, usd, rates.basis)


def _basis_by_length(assumed: str) -> str:
    return f"by the length of the seeds and of one prompt, if {assumed}"


def _middle(texts: Sequence[str]) -> float:
    """Return the median token count of texts, which a single very long seed does not distort."""
    return median(map(_tokens, texts))


def _tokens(text: str) -> int:
    """Return the approximate number of tokens of a text, at least its number of words."""
    return max(ceil(len(text) / _CHARACTERS_PER_TOKEN), sum(1 for _ in _WORD.finditer(text)))
