"""Retries, failover, and the pause when a server refuses every call or is away."""

import math

import anyio
import pytest

from service.lm.dispatch import Patience, UpstreamState
from service.lm.errors import CallFailedError, EndpointRefusedError, Failing, Refused, UnansweredError
from service.lm.port import Completion
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from tests.lm.dispatch.endpoints import SAMPLING, ScriptedEndpoint, completed, failed, over, refused, until

pytestmark = pytest.mark.anyio

PASSING = [Failing.SERVER_ERROR, Failing.TIMEOUT, Failing.CONNECTION, Failing.INVALID_BODY, Failing.ABORTED]
FOR_LOAD = [Failing.RATE_LIMITED, Failing.OVERLOADED]


@pytest.mark.parametrize("failing", PASSING + FOR_LOAD)
async def test_a_failure_that_may_pass_is_tried_again(failing: Failing) -> None:
    endpoint = ScriptedEndpoint([failed(failing), failed(failing)])
    async with over(endpoint).running() as model:
        completion = await model.complete(ModelInput("p"), SAMPLING)
    assert (completion.text, completion.cost.attempts) == ("a text", 3)


async def test_usage_of_failed_attempts_is_reported_separately() -> None:
    endpoint = ScriptedEndpoint([failed(usage=Usage(7, 3)), failed(), failed(Failing.RATE_LIMITED, usage=Usage(1, 0))])
    async with over(endpoint).running() as model:
        completion = await model.complete(ModelInput("p"), SAMPLING)
    assert completion.usage == Usage(10, 5)
    assert completion.cost.wasted == Usage(8, 3)


@pytest.mark.parametrize("failing", [Failing.INVALID_BODY, Failing.ABORTED])
async def test_a_call_answered_only_by_nonsense_fails_with_its_usage(failing: Failing) -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: failed(failing, usage=Usage(2, 1)))
    async with over(endpoint).running() as model:
        with pytest.raises(UnansweredError, match="3 attempts failed") as given_up:
            await model.complete(ModelInput("p"), SAMPLING)
    error = given_up.value
    assert (error.cost.attempts, error.cost.wasted, error.failing) == (3, Usage(6, 3), failing)


async def test_refusals_for_load_never_cost_a_call_its_place() -> None:
    endpoint = ScriptedEndpoint([failed(Failing.RATE_LIMITED, after_s=0.001) for _ in range(20)])
    async with over(endpoint, patience=Patience(attempts=2)).running() as model:
        assert (await model.complete(ModelInput("p"), SAMPLING)).cost.attempts == 21


async def test_a_hopeless_call_is_not_retried_and_reports_its_usage() -> None:
    endpoint = ScriptedEndpoint([failed(usage=Usage(1, 1)), CallFailedError("too long", Failing.CONTEXT_LENGTH)])
    async with over(endpoint).running() as model:
        with pytest.raises(CallFailedError, match="too long") as raised:
            await model.complete(ModelInput("p"), SAMPLING)
    assert (raised.value.cost.attempts, raised.value.cost.wasted) == (2, Usage(1, 1))
    assert len(endpoint.asked) == 2


async def test_a_server_s_wish_to_wait_is_granted() -> None:
    endpoint = ScriptedEndpoint([failed(Failing.RATE_LIMITED, after_s=0.2)])
    async with over(endpoint).running() as model:
        started = anyio.current_time()
        await model.complete(ModelInput("p"), SAMPLING)
        assert anyio.current_time() - started >= 0.2


async def test_who_waits_to_try_again_leaves_its_place_to_others() -> None:
    endpoint = ScriptedEndpoint([failed(Failing.RATE_LIMITED, after_s=60.0)])
    async with over(endpoint, concurrency=1).running() as model, anyio.create_task_group() as calls:
        calls.start_soon(model.complete, ModelInput("waits"), SAMPLING)
        await until(lambda: endpoint.asked == ["waits"])
        with anyio.fail_after(5):
            await model.complete(ModelInput("goes on"), SAMPLING)
        calls.cancel_scope.cancel()


@pytest.mark.parametrize("kind", [Refused.CREDENTIALS, Refused.QUOTA, Refused.ADDRESS])
async def test_an_upstream_that_refuses_all_calls_waits_until_mended(kind: Refused) -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: refused(kind))
    answers: list[Completion] = []

    async def ask(prompt: str) -> None:
        answers.append(await model.complete(ModelInput(prompt), SAMPLING))

    async with over(endpoint, concurrency=3).running() as model, anyio.create_task_group() as calls:
        for number in range(9):
            calls.start_soon(ask, f"p{number}")
        await until(lambda: model.refusal is not None and model.slots.waiting == 9)
        first_burst = len(endpoint.asked)
        assert first_burst <= 3
        assert str(model.refusal) == f"Refused for {kind}."
        await anyio.wait_all_tasks_blocked()
        assert len(endpoint.asked) == first_burst
        endpoint.otherwise = completed
        model.try_again()
    assert model.refusal is None
    assert len(answers) == 9
    assert len(endpoint.asked) == first_burst + 9


async def test_a_trial_of_a_server_that_still_refuses_is_one_call() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: refused(Refused.CREDENTIALS))
    async with over(endpoint).running() as model, anyio.create_task_group() as calls:
        for number in range(9):
            calls.start_soon(model.complete, ModelInput(f"p{number}"), SAMPLING)
        await until(lambda: model.refusal is not None and endpoint.running == 0)
        before = len(endpoint.asked)
        model.try_again()
        await until(lambda: len(endpoint.asked) > before and endpoint.running == 0)
        await anyio.wait_all_tasks_blocked()
        assert len(endpoint.asked) == before + 1
        calls.cancel_scope.cancel()


async def test_an_upstream_that_is_away_gets_single_calls_until_back() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: failed(Failing.CONNECTION))
    async with over(endpoint).running() as model, anyio.create_task_group() as calls:
        for number in range(8):
            calls.start_soon(model.complete, ModelInput(f"p{number}"), SAMPLING)
        await until(lambda: model.refusal is not None)
        assert model.refusal is not None
        assert "has answered no call lately" in str(model.refusal)
        await until(lambda: endpoint.running == 0)
        before, endpoint.most_at_once = len(endpoint.asked), 0
        await until(lambda: len(endpoint.asked) > before)
        assert endpoint.most_at_once == 1
        endpoint.otherwise = completed
    assert model.refusal is None


@pytest.mark.parametrize("kind", [Refused.CREDENTIALS, Refused.AWAY])
async def test_patience_ends_for_all_calls_at_once(kind: Refused) -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: refused(kind))
    patience = Patience(closed_s=0.0, refused_first_s=0.0)
    ended: list[str] = []

    async def ask() -> None:
        with pytest.raises(EndpointRefusedError, match=f"Refused for {kind}"):
            await model.complete(ModelInput("p"), SAMPLING)
        ended.append("p")

    async with over(endpoint, concurrency=2, patience=patience).running() as model, anyio.create_task_group() as calls:
        for _ in range(5):
            calls.start_soon(ask)
    assert len(ended) == 5


async def test_patience_is_longer_once_a_call_has_been_answered() -> None:
    endpoint = ScriptedEndpoint([completed(), refused(Refused.QUOTA)])
    patience = Patience(closed_s=math.inf, refused_first_s=0.0)
    async with over(endpoint, patience=patience).running() as model, anyio.create_task_group() as calls:
        await model.complete(ModelInput("answered"), SAMPLING)
        calls.start_soon(model.complete, ModelInput("refused"), SAMPLING)
        await until(lambda: model.refusal is not None)
        with anyio.move_on_after(1.2) as longer_than_it_looks_again:
            await until(lambda: calls.cancel_scope.cancel_called)
        assert longer_than_it_looks_again.cancelled_caught
        calls.cancel_scope.cancel()


async def test_calls_go_where_most_is_free() -> None:
    one, other = ScriptedEndpoint(open=anyio.Event()), ScriptedEndpoint(open=anyio.Event())
    async with over(one, other, concurrency=8).running() as model, anyio.create_task_group() as calls:
        for number in range(8):
            calls.start_soon(model.complete, ModelInput(f"p{number}"), SAMPLING)
        await until(lambda: one.running + other.running == 8)
        assert (one.running, other.running) == (4, 4)
        calls.cancel_scope.cancel()


@pytest.mark.parametrize("step", [failed(Failing.CONNECTION), refused(Refused.QUOTA)])
async def test_a_call_that_one_server_fails_goes_to_another(step: Exception) -> None:
    broken = ScriptedEndpoint(otherwise=lambda: step)  # type: ignore[arg-type, return-value]
    working = ScriptedEndpoint()
    async with over(broken, working, patience=Patience(attempts=2)).running() as model:
        for _ in range(20):
            await model.complete(ModelInput("p"), SAMPLING)
    assert model.refusal is None
    assert len(working.asked) == 20
    now_s = anyio.current_time()
    assert [upstream.state(now_s) for upstream in model.balancer.all] == [UpstreamState.CLOSED, UpstreamState.OPEN]


async def test_a_call_that_is_cancelled_gives_its_place_back() -> None:
    endpoint = ScriptedEndpoint(open=anyio.Event())
    async with over(endpoint, concurrency=1).running() as model:
        async with anyio.create_task_group() as calls:
            calls.start_soon(model.complete, ModelInput("p"), SAMPLING)
            await until(lambda: endpoint.running == 1)
            calls.cancel_scope.cancel()
        assert (endpoint.running, model.slots.in_use) == (0, 0)
        assert model.balancer.all[0].in_use == 0


async def test_a_cancelled_trial_is_followed_by_another() -> None:
    endpoint = ScriptedEndpoint([refused(Refused.CREDENTIALS)], open=anyio.Event())
    endpoint.open = None
    async with over(endpoint).running() as model, anyio.create_task_group() as calls:
        calls.start_soon(model.complete, ModelInput("refused"), SAMPLING)
        await until(lambda: model.refusal is not None)
        calls.cancel_scope.cancel()
    async with model.running():
        endpoint.open = anyio.Event()
        async with anyio.create_task_group() as calls:
            model.try_again()
            calls.start_soon(model.complete, ModelInput("tries and is cancelled"), SAMPLING)
            await until(lambda: endpoint.running == 1)
            calls.cancel_scope.cancel()
        endpoint.open = None
        with anyio.fail_after(5):
            await model.complete(ModelInput("tries again"), SAMPLING)


async def test_a_holder_of_a_slot_makes_its_call_with_it() -> None:
    endpoint = ScriptedEndpoint()
    async with over(endpoint, concurrency=1).running() as model, model.slots.hold(0) as slot:
        await model.complete(ModelInput("p"), SAMPLING, slot)
        assert model.slots.in_use == 1
    assert model.slots.in_use == 0


async def test_an_upstream_that_accepts_no_call_of_a_kind_is_paused() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: CallFailedError("unknown parameter", Failing.BAD_REQUEST))
    async with over(endpoint).running() as model, anyio.create_task_group() as calls:
        for _ in range(2):
            with pytest.raises(CallFailedError, match="unknown parameter"):
                await model.complete(ModelInput("lost"), SAMPLING)
        calls.start_soon(model.complete, ModelInput("kept"), SAMPLING)
        await until(lambda: model.refusal is not None)
        assert str(model.refusal) == "No call of this kind is answered. unknown parameter"
        endpoint.otherwise = completed
        model.try_again()


async def test_a_kind_that_was_accepted_once_loses_calls_one_by_one() -> None:
    endpoint = ScriptedEndpoint([completed()], lambda: CallFailedError("this one is bad", Failing.BAD_REQUEST))
    async with over(endpoint).running() as model:
        await model.complete(ModelInput("good"), SAMPLING)
        for _ in range(9):
            with pytest.raises(CallFailedError):
                await model.complete(ModelInput("bad"), SAMPLING)
        assert model.refusal is None
