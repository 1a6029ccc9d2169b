import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.billing.priced_model import PricedModel
from service.billing.pricing import Price, PriceTable, cost_usd, price_of, table_in_force
from service.lm.call_cost import CallCost
from service.lm.errors import CallDroppedError, CallFailedError, EndpointRefusedError
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


def test_cached_tokens_may_have_their_own_price() -> None:
    cached = Usage(MILLION, 0, cached_tokens=MILLION // 2)
    assert cost_usd(PRICE, cached) == 1.25
    assert cost_usd(Price(prompt=2.0, completion=8.0), cached) == 2.0


def test_reasoning_tokens_are_part_of_the_completion() -> None:
    assert cost_usd(PRICE, Usage(0, MILLION, reasoning_tokens=MILLION)) == 8.0


def test_more_cached_tokens_than_prompt_tokens_earn_no_refund() -> None:
    assert cost_usd(PRICE, Usage(MILLION, 0, cached_tokens=9 * MILLION)) == 0.5


def test_a_batch_costs_half_by_default() -> None:
    assert cost_usd(PRICE, Usage(MILLION, MILLION), batch=True) == 5.0
    assert cost_usd(PRICE.model_copy(update={"batch_factor": 0.25}), Usage(MILLION, MILLION), batch=True) == 2.5


@given(prompt=TOKENS, completion=TOKENS, cached=TOKENS, batch=st.booleans())
def test_no_cost_is_negative(prompt: int, completion: int, cached: int, *, batch: bool) -> None:
    assert cost_usd(PRICE, Usage(prompt, completion, cached), batch=batch) >= 0


def test_the_price_is_that_of_the_answering_model_first() -> None:
    assert price_of(TABLE, "small", "small") == PRICE
    assert price_of(TABLE, "small", "small-0701") == Price(prompt=1.0, completion=1.0)
    assert price_of(TABLE, "small", "small-0702") == PRICE
    assert price_of(TABLE, "large", "large") is None


def test_two_prices_alone_are_a_table_for_the_chosen_model() -> None:
    alone = PriceTable(version="flags", models={"large": Price(prompt=0, completion=3)})
    assert table_in_force(TABLE, "large", 0, 3) == alone
    assert table_in_force(TABLE, "large", None, None) == TABLE
    assert table_in_force(None, "large", None, None) is None


def priced(reply: Reply, *, asked: str = "small", batch: bool = False) -> PricedModel:
    return PricedModel(ScriptedModel(always(reply)), TABLE, asked, batch)


def answered(usage: Usage | None, wasted: Usage | None = None) -> Completion:
    return Completion("", FinishReason.STOP, "small", usage, CallCost(wasted=wasted))


@pytest.mark.anyio
async def test_the_cost_of_an_answer_includes_its_failed_attempts() -> None:
    completion = await priced(answered(Usage(MILLION, 0), Usage(0, MILLION))).complete(ModelInput("x"), SAMPLING)
    assert (completion.cost.cost_usd, completion.cost.prices) == (10.0, "2026-11")
    completion = await priced(answered(Usage(MILLION, 0)), batch=True).complete(ModelInput("x"), SAMPLING)
    assert completion.cost.cost_usd == 1.0


@pytest.mark.anyio
@pytest.mark.parametrize("wasted", [None, Usage(MILLION, 0)])
async def test_the_cost_of_an_uncounted_answer_is_not_guessed(wasted: Usage | None) -> None:
    completion = await priced(answered(None, wasted)).complete(ModelInput("x"), SAMPLING)
    assert (completion.cost.cost_usd, completion.cost.prices) == (None, None)


@pytest.mark.anyio
async def test_a_model_that_the_table_does_not_name_has_no_price() -> None:
    answer = Completion("", FinishReason.STOP, "large", Usage(MILLION, 0))
    completion = await priced(answer, asked="large").complete(ModelInput("x"), SAMPLING)
    assert (completion.cost.cost_usd, completion.cost.prices) == (None, None)


@pytest.mark.anyio
@pytest.mark.parametrize(("wasted", "cost"), [(Usage(MILLION, MILLION), 10.0), (None, None)])
async def test_a_failed_call_has_the_cost_that_the_server_counted(wasted: Usage | None, cost: float | None) -> None:
    with pytest.raises(CallFailedError) as caught:
        await priced(CallFailedError("no", cost=CallCost(wasted=wasted))).complete(ModelInput("x"), SAMPLING)
    assert caught.value.cost.cost_usd == cost


@pytest.mark.anyio
@pytest.mark.parametrize(("wasted", "cost"), [(Usage(MILLION, MILLION), 10.0), (None, None)])
async def test_a_dropped_call_stays_one_when_it_gets_its_price(wasted: Usage | None, cost: float | None) -> None:
    refusal = EndpointRefusedError("no more")
    dropped = CallDroppedError(refusal, cost=CallCost(2, wasted))
    with pytest.raises(CallDroppedError) as caught:
        await priced(dropped).complete(ModelInput("x"), SAMPLING)
    error = caught.value
    assert (error.refusal, error.cost.attempts, error.cost.wasted, error.cost.cost_usd) == (refusal, 2, wasted, cost)
    assert dropped.cost == CallCost(2, wasted)
