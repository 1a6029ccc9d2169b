import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.price_table import Price, PriceTable, cost_usd, price_of, table_in_force
from service.billing.priced_model import PricedModel
from service.lm.errors import CallFailedError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.fakes.models import Reply, ScriptedModel, always

SAMPLING = SELF_INSTRUCT.instruction_sampling
MILLION = 1_000_000
PRICE = Price(prompt=2.0, completion=8.0, cached_prompt=0.5)
TABLE = PriceTable(version="2026-11", models={"small": PRICE, "small-0701": Price(prompt=1.0, completion=1.0)})
TOKENS = st.integers(0, 10**7)


def test_a_price_is_for_a_million_tokens() -> None:
    assert cost_usd(Price(prompt=2.0, completion=8.0), Usage(MILLION, MILLION)) == 10.0


def test_cached_tokens_have_a_price_of_their_own_where_one_is_given() -> None:
    cached = Usage(MILLION, 0, cached_tokens=MILLION // 2)
    assert cost_usd(PRICE, cached) == 1.25
    assert cost_usd(Price(prompt=2.0, completion=8.0), cached) == 2.0


def test_reasoning_tokens_are_part_of_the_completion() -> None:
    assert cost_usd(PRICE, Usage(0, MILLION, reasoning_tokens=MILLION)) == 8.0


def test_a_server_that_counts_more_cached_tokens_than_it_read_earns_no_money_back() -> None:
    assert cost_usd(PRICE, Usage(MILLION, 0, cached_tokens=9 * MILLION)) == 0.5


def test_a_batch_costs_half_unless_it_is_said_otherwise() -> None:
    assert cost_usd(PRICE, Usage(MILLION, MILLION), batch=True) == 5.0
    assert cost_usd(PRICE.model_copy(update={"batch_factor": 0.25}), Usage(MILLION, MILLION), batch=True) == 2.5


@given(prompt=TOKENS, completion=TOKENS, cached=TOKENS, batch=st.booleans())
def test_nothing_costs_less_than_nothing(prompt: int, completion: int, cached: int, *, batch: bool) -> None:
    assert cost_usd(PRICE, Usage(prompt, completion, cached), batch=batch) >= 0


def test_the_model_that_answered_decides_the_price_before_the_one_that_was_asked() -> None:
    assert price_of(TABLE, "small", "small") == PRICE
    assert price_of(TABLE, "small", "small-0701") == Price(prompt=1.0, completion=1.0)
    assert price_of(TABLE, "small", "small-0702") == PRICE
    assert price_of(TABLE, "large", "large") is None


def test_two_prices_alone_are_a_table_for_the_model_that_is_asked() -> None:
    alone = PriceTable(version="flags", models={"large": Price(prompt=0, completion=3)})
    assert table_in_force(TABLE, "large", 0, 3) == alone
    assert table_in_force(TABLE, "large", None, None) == TABLE
    assert table_in_force(None, "large", None, None) is None


def priced(reply: Reply, *, asked: str = "small", batch: bool = False) -> PricedModel:
    return PricedModel(ScriptedModel(always(reply)), TABLE, asked, batch)


def answered(usage: Usage | None, wasted: Usage | None = None) -> Completion:
    return Completion("", FinishReason.STOP, "small", usage, wasted=wasted)


@pytest.mark.anyio
async def test_an_answer_costs_what_its_failed_attempts_took_too() -> None:
    completion = await priced(answered(Usage(MILLION, 0), Usage(0, MILLION))).complete(ModelInput("x"), SAMPLING)
    assert (completion.cost_usd, completion.prices) == (10.0, "2026-11")
    completion = await priced(answered(Usage(MILLION, 0)), batch=True).complete(ModelInput("x"), SAMPLING)
    assert completion.cost_usd == 1.0


@pytest.mark.anyio
@pytest.mark.parametrize("wasted", [None, Usage(MILLION, 0)])
async def test_what_an_uncounted_answer_cost_is_not_guessed(wasted: Usage | None) -> None:
    completion = await priced(answered(None, wasted)).complete(ModelInput("x"), SAMPLING)
    assert (completion.cost_usd, completion.prices) == (None, None)


@pytest.mark.anyio
async def test_a_model_that_the_table_does_not_name_has_no_price() -> None:
    answer = Completion("", FinishReason.STOP, "large", Usage(MILLION, 0))
    completion = await priced(answer, asked="large").complete(ModelInput("x"), SAMPLING)
    assert (completion.cost_usd, completion.prices) == (None, None)


@pytest.mark.anyio
@pytest.mark.parametrize(("wasted", "cost"), [(Usage(MILLION, MILLION), 10.0), (None, None)])
async def test_a_failed_call_says_what_it_cost_as_far_as_the_server_counted(
    wasted: Usage | None, cost: float | None
) -> None:
    with pytest.raises(CallFailedError) as caught:
        await priced(CallFailedError("no", wasted=wasted)).complete(ModelInput("x"), SAMPLING)
    assert caught.value.cost_usd == cost
