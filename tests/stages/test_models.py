import anyio
import pytest

from service.errors import EndpointRefusedError, UnansweredError
from service.models import PricedModel, WatchedModel
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.fakes.models import Hold, ScriptedModel, always, by_marker, completed

pytestmark = pytest.mark.anyio

SAMPLING = SELF_INSTRUCT.instruction_sampling


async def test_a_call_that_nobody_answers_while_others_are_answered_is_a_bad_call() -> None:
    hold = Hold(UnansweredError("out of attempts", failing_s=60.0))
    model = WatchedModel(ScriptedModel(by_marker({"bad": hold})))
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(UnansweredError):
                await model.complete("bad", SAMPLING)

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await model.complete("good", SAMPLING)
        hold.release()


async def test_a_server_that_answers_nobody_is_away() -> None:
    model = WatchedModel(ScriptedModel(by_marker({"bad": UnansweredError("out of attempts", failing_s=0.0)})))
    await model.complete("good", SAMPLING)
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(EndpointRefusedError, match="out of attempts"):
        await model.complete("bad", SAMPLING)


async def test_a_price_is_for_a_million_tokens() -> None:
    model = PricedModel(ScriptedModel(always(completed("x"))), prompt_price=1_000_000.0, completion_price=500_000.0)
    completion = await model.complete("x", SAMPLING)
    assert completion.cost_usd == 1.5
