import msgspec
import pytest
from msgspec import structs

from service.billing.pricing import Price, PriceTable
from service.cli.goal import limits_in_words
from service.errors import ConfigurationError
from service.messaging.messages import Ending, GivenPrice, GoalSet, RunEnded, StageLimits
from service.run.goals import asked_goal, check_budget, priced_as_before, spent_already
from service.run.progress import Progress
from service.selfinstruct.steps import Step
from service.settings import Settings, load_settings

pytestmark = pytest.mark.usefixtures("no_settings")

LIMITED = GoalSet(
    run="default",
    target=7,
    max_prompts=9,
    budget_usd=50.0,
    max_marginal_cost_usd=0.01,
    rpm=60,
    tpm=9_000,
    max_in_flight=5,
)
TABLE = PriceTable(version="1", models={"small": Price(prompt=1, completion=2)})


def test_the_first_goal_has_the_given_options() -> None:
    asked = asked_goal(None, Settings(target=7, budget=50, rpm=60))
    assert asked == GoalSet(run="default", target=7, budget_usd=50, rpm=60)


def test_missing_options_keep_their_values() -> None:
    assert asked_goal(LIMITED, Settings()) == LIMITED
    assert asked_goal(LIMITED, Settings(budget=80)) == structs.replace(LIMITED, budget_usd=80)


def test_a_limit_of_zero_removes_the_limit() -> None:
    lifted = asked_goal(LIMITED, Settings(budget=0, max_marginal_cost=0, rpm=0, tpm=0, max_in_flight=0))
    assert lifted == GoalSet(run="default", target=7, max_prompts=9)
    assert asked_goal(None, Settings(budget=0)).budget_usd is None


def remote(model: str, **flags: object) -> Settings:
    return load_settings({"lm": "openai", "lm_url": "http://a/v1", "model": model, **flags})


def test_the_price_last_given_is_kept_for_the_same_model() -> None:
    priced = asked_goal(None, remote("large", price_prompt=1, price_completion=2))
    assert priced.price == GivenPrice(model="large", prompt=1, completion=2)
    later = asked_goal(priced, remote("large", target=9))
    assert later.price == priced.price
    assert msgspec.json.decode(later.to_json(), type=GoalSet) == later
    again = priced_as_before(remote("large"), later)
    check_budget(structs.replace(later, budget_usd=5.0), again, "large")
    assert (again.price_prompt, again.price_completion) == (1, 2)


def test_a_kept_price_gives_way_to_other_models_and_settings() -> None:
    goal = GoalSet(run="default", target=7, price=GivenPrice(model="small", prompt=1, completion=2))
    for other in (
        Settings(),
        remote("large"),
        remote("small", prices=TABLE),
        remote("small", price_prompt=3, price_completion=4),
    ):
        assert priced_as_before(other, goal) is other
    assert asked_goal(goal, Settings(price_prompt=0, price_completion=0)).price == GivenPrice(
        model=None, prompt=0, completion=0
    )


@pytest.mark.parametrize("limit", ["budget_usd", "max_marginal_cost_usd"])
def test_a_limit_in_dollars_needs_a_price_for_the_chosen_model(limit: str) -> None:
    goal = structs.replace(GoalSet(run="default", target=7), **{limit: 1.0})
    with pytest.raises(ConfigurationError, match=r"expected one for model 'large', got small; .*\[prices\.models\."):
        check_budget(goal, Settings(prices=TABLE), "large")
    with pytest.raises(ConfigurationError, match="got none"):
        check_budget(goal, Settings(), "large")
    check_budget(goal, Settings(prices=TABLE), "small")
    check_budget(goal, Settings(price_prompt=1, price_completion=1), "large")


def test_the_limits_of_a_goal_are_described() -> None:
    said = limits_in_words(LIMITED)
    for part in (
        "; at most 9 prompts, ",
        "a budget of $50",
        "$0.01 for each",
        "60 calls a minute",
        "9,000 tokens",
        "5 calls in flight",
    ):
        assert part in said
    assert limits_in_words(GoalSet(run="default", target=7)) == ""


def test_a_run_with_a_spent_budget_ends_until_it_is_raised() -> None:
    ended = RunEnded(run="default", ending=Ending.BUDGET_SPENT, target=7, finished=1, detail="", goal=LIMITED)
    progress = Progress(goal=LIMITED, ended=ended)
    assert spent_already(progress, LIMITED) == ended
    assert spent_already(progress, structs.replace(LIMITED, budget_usd=80)) is None
    assert spent_already(Progress(goal=LIMITED), LIMITED) is None
    stalled = structs.replace(ended, ending=Ending.STALLED)
    assert spent_already(Progress(goal=LIMITED, ended=stalled), LIMITED) is None


def test_without_a_limit_in_dollars_no_price_is_needed() -> None:
    check_budget(GoalSet(run="default", target=7, rpm=60), Settings(), "large")


def test_limits_of_a_stage_stay_until_its_table_names_others() -> None:
    tables = {"instances": {"model": "large", "lm_url": "http://x/v1", "rpm": 60, "max_in_flight": 4}}
    first = asked_goal(None, load_settings({"stages": tables}))
    assert first.stages == {"instances": StageLimits(rpm=60, max_in_flight=4)}
    assert asked_goal(first, Settings()).stages == first.stages
    other = {"instances": {"model": "large", "lm_url": "http://x/v1", "rpm": 0}}
    assert asked_goal(first, load_settings({"stages": other})).stages == {
        "instances": StageLimits(rpm=0, max_in_flight=4)
    }
    assert asked_goal(None, Settings()).stages is None


def test_a_budget_needs_the_price_of_each_stages_model() -> None:
    goal = GoalSet(run="default", target=7, budget_usd=1.0)
    table = {"instances": {"model": "large", "lm_url": "http://x/v1"}}
    settings = remote("small", price_prompt=1, price_completion=1, stages=table)
    check_budget(goal, settings.of_step(Step.INSTRUCTIONS), "small")
    with pytest.raises(ConfigurationError, match="expected one for model 'large', got none"):
        check_budget(goal, settings.of_step(Step.INSTANCES), "large")
    with pytest.raises(ConfigurationError, match=r"with price_prompt and price_completion in \[stages.instances\], or"):
        check_budget(goal, settings.of_step(Step.INSTANCES), "large", [Step.INSTANCES])
