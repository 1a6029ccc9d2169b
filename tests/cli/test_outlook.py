"""The estimate for a target before the first call. The examples are small and were computed by hand."""

from dataclasses import replace
from typing import Any

import pytest

from service.billing.bill import CLASSIFY, GENERATE, INSTANCES
from service.billing.pricing import Price
from service.billing.reckoning import CostEstimate, Rates, estimate_cost, rates_by_length
from service.cli.facts import dollars
from service.cli.outlook import StagePrices, outlook, outlook_by_length, outlook_of
from service.lm.usage import Usage
from service.run.cost_forecast import forecast_usd
from service.run.progress import Progress
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form, Recipe, RecipeName, recipe_for
from service.selfinstruct.steps import Step
from service.selfinstruct.tasks import Instance, SeedTask
from service.settings import Settings, load_settings
from tests.cli.test_cost import bought
from tests.support import examples
from tests.support.examples import TEMPLATES

pytestmark = pytest.mark.usefixtures("no_settings")

STEPS = {GENERATE: Usage(100, 40), CLASSIFY: Usage(30, 2), INSTANCES: Usage(50, 60)}
BY_STEPS = Rates(STEPS, accepted_per_prompt=4.0, finished=0.5, basis="by hand")
ALONE = Rates({GENERATE: Usage(1_000, 2_000)}, accepted_per_prompt=5.0, finished=1.0, basis="by hand")
ASKED = ModelInput("p" * 430)  # 100 tokens of 4.3 characters


def text(tokens: int) -> str:
    return "x" * round(4.3 * tokens)


def seed(instruction: str, output: str, given: str = "") -> SeedTask:
    return SeedTask("s", "", instruction, (Instance(given, output),), None)


# The instruction has 10 tokens. The instance has 10, with the blank between input and output.
TEN = seed(text(10), text(10)[1:])


def in_json(recipe: Recipe) -> Recipe:
    return recipe_for(recipe.name, Form.JSON, chat_model=True)


def served(**flags: Any) -> Settings:
    return load_settings({"lm": "openai", "lm_url": "http://x/v1", "model": "m", **flags})


def prices_of(settings: Settings) -> StagePrices:
    return StagePrices.of(settings, dict.fromkeys(Step, "m"))


def test_each_accepted_task_is_completed_and_half_are_finished() -> None:
    """Ten tasks need 20 accepted ones from 5 prompts: 45 calls, 500 + 600 + 1,000 tokens in, 200 + 40 + 1,200 out."""
    assert estimate_cost(BY_STEPS, 10) == CostEstimate(10, 45, Usage(2_100, 1_440), None, "by hand")


def test_a_call_for_whole_tasks_needs_no_other() -> None:
    """Twelve tasks need 2.4 prompts. The calls are rounded up to 3, and the tokens are those of 2.4."""
    assert estimate_cost(ALONE, 12) == CostEstimate(12, 3, Usage(2_400, 4_800), None, "by hand")


@pytest.mark.parametrize(
    ("price", "usd"),
    [
        (Price(prompt=1, completion=2), 0.00498),  # 2,100 x 1 + 1,440 x 2 millionths
        (Price(prompt=0, completion=0), 0.0),
        (Price(prompt=100, completion=0, cached_prompt=1), 0.21),
    ],
)
def test_tokens_are_priced_by_the_million(price: Price, usd: float) -> None:
    assert estimate_cost(BY_STEPS, 10, dict.fromkeys(BY_STEPS.calls, price)).usd == pytest.approx(usd)


def test_nothing_accepted_or_finished_divides_nothing_by_zero() -> None:
    assert estimate_cost(replace(ALONE, accepted_per_prompt=0.0), 1).calls == 20
    assert estimate_cost(replace(ALONE, finished=0.0), 5).calls == 20


@pytest.mark.parametrize(
    ("recipe", "out"),
    [
        (SELF_INSTRUCT, {GENERATE: 7 * 13, CLASSIFY: 2, INSTANCES: 2 * 16}),
        (in_json(SELF_INSTRUCT), {GENERATE: 7 * 15, CLASSIFY: 8, INSTANCES: 2 * 20}),
        (ALPACA, {GENERATE: 17 * (13 + 16)}),
        (in_json(ALPACA), {GENERATE: 17 * (15 + 20)}),
    ],
    ids=lambda value: value.title if isinstance(value, Recipe) else "",
)
def test_a_model_is_taken_to_write_texts_as_long_as_the_seeds(recipe: Recipe, out: dict[str, int]) -> None:
    templates = replace(
        TEMPLATES, json_classification=TEMPLATES.classification, json_instances_generation="{{instruction}}"
    )
    rates = rates_by_length(recipe, templates, [TEN, TEN, TEN], ASKED)
    assert {step: usage.completion_tokens for step, usage in rates.calls.items()} == out
    assert rates.calls[GENERATE].prompt_tokens == 100
    tasks, finished = (7, 0.9) if recipe.name is RecipeName.SELF_INSTRUCT else (17, 1.0)
    assert (rates.accepted_per_prompt, rates.finished) == (tasks / 2, finished)


def test_prompts_of_later_steps_are_as_long_as_their_templates() -> None:
    """`Is it? ` and 43 characters are 50; `Solve: `, 43 and a line feed are 51: 12 tokens each, and not 11."""
    rates = rates_by_length(SELF_INSTRUCT, TEMPLATES, [TEN], ASKED)
    assert [rates.calls[step].prompt_tokens for step in (CLASSIFY, INSTANCES)] == [12, 12]


def test_one_seed_of_a_book_changes_nothing() -> None:
    book = seed(text(100_000), text(100_000))
    alone = rates_by_length(SELF_INSTRUCT, TEMPLATES, [TEN, TEN, TEN], ASKED)
    assert rates_by_length(SELF_INSTRUCT, TEMPLATES, [TEN, book, TEN], ASKED) == alone


def test_there_are_never_fewer_tokens_than_words() -> None:
    words = seed("a b c d e f g h i j", "x y z")  # 10 words in 19 characters, and 3 words
    rates = rates_by_length(ALPACA, TEMPLATES, [words], ModelInput("a b c"))
    assert rates.calls == {GENERATE: Usage(3, 17 * (13 + 3 + 6))}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, ", and no price is given for m"),
        ({"price_prompt": 100, "price_completion": 200}, ", $0.50"),
        ({"price_prompt": 1_000, "price_completion": 2_000}, ", $5.00"),
        ({"price_prompt": 0, "price_completion": 0}, ", $0"),
        ({"price_prompt": 0.01, "price_completion": 0.02}, ", $0.000050"),
        ({"price_prompt": 1_000, "price_completion": 2_000, "lm_batch": True}, ", $2.50"),
        ({"prices": {"version": "1", "models": {"other": {"prompt": 1, "completion": 1}}}}, ", and no price is"),
        ({"prices": {"version": "1", "models": {"m": {"prompt": 100, "completion": 200}}}}, ", $0.50"),
    ],
)
def test_the_cost_is_said_where_there_is_a_price(flags: dict[str, Any], said: str) -> None:
    told = outlook(BY_STEPS, 10, prices_of(served(**flags)))
    assert told.startswith(f"10 tasks: about 45 calls, 2,100 tokens in, 1,400 out{said}")
    assert told.endswith(" (judged by hand)")


@pytest.mark.parametrize("lm", ["local", "simulator"])
def test_what_runs_here_has_no_price_and_misses_none(lm: str) -> None:
    told = outlook(BY_STEPS, 10, prices_of(load_settings({"lm": lm})))
    assert told == "10 tasks: about 45 calls, 2,100 tokens in, 1,400 out (judged by hand)"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (7, "7"),
        (99, "99"),
        (994, "990"),
        (996, "1,000"),
        (1_440, "1,400"),
        (98_765, "99,000"),
        (1_234_567, "1,200,000"),
    ],
)
def test_two_digits_of_a_number_say_something(count: int, said: str) -> None:
    rates = Rates({GENERATE: Usage(count, 0)}, accepted_per_prompt=1.0, finished=1.0, basis="by hand")
    told = outlook(rates, 1, prices_of(load_settings({"lm": "local"})))
    assert told == f"1 task: about 1 calls, {said} tokens in, 0 out (judged by hand)"


@pytest.mark.parametrize(("recipe", "more"), [(SELF_INSTRUCT, ", and 9 in 10 of those finished"), (ALPACA, "")])
def test_an_outlook_by_length_says_what_it_takes_for_granted(recipe: Recipe, more: str) -> None:
    seeds = [examples.seed_task(number) for number in range(8)]
    told = outlook_by_length(examples.definition(8, recipe), seeds, 1_000, prices_of(load_settings({"lm": "local"})))
    assert told.startswith("1,000 tasks: about ")
    assumed = f"if 5 in 10 of the tasks written are accepted{more}"
    assert told.endswith(f"(judged by the length of the seeds and of one prompt, {assumed})")


def test_a_run_that_goes_on_is_judged_by_its_own_calls() -> None:
    progress = bought()
    expected = dollars(forecast_usd(progress))
    assert outlook_of(progress) == f"4 tasks: {expected} in total, estimated from the 1 finished so far"


def test_nothing_is_said_of_a_run_whose_costs_are_not_known() -> None:
    assert outlook_of(Progress()) == ""
    progress = Progress()
    for message in (examples.goal(4), examples.prompt(0), examples.answer(0)):
        progress.apply(message)
    assert outlook_of(progress) == ""


def test_each_stage_is_priced_by_its_own_model() -> None:
    """Prompts and classification cost 1 and 2 a million, instances 100 and 200: $0.00158 and $0.34."""
    table = {"instances": {"model": "large", "price_prompt": 100, "price_completion": 200}}
    settings = served(price_prompt=1, price_completion=2, stages=table)
    names = {Step.INSTRUCTIONS: "m", Step.CLASSIFICATION: "m", Step.INSTANCES: "large"}
    assert ", $0.34 (judged" in outlook(BY_STEPS, 10, StagePrices.of(settings, names))
    dear = served(stages={"instances": {"model": "large"}}, price_prompt=1, price_completion=2)
    assert "and no price is given for large (judged" in outlook(BY_STEPS, 10, StagePrices.of(dear, names))
    assert "and no price is given for m and large (judged" in outlook(
        BY_STEPS, 10, StagePrices.of(served(stages={"instances": {"model": "large"}}), names)
    )
