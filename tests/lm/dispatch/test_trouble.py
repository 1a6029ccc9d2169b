"""Several upstreams, rates and refusals at once. Working upstreams go on, mended ones return, and no loop spins."""

import time

import anyio
import pytest

from service.lm.dispatch import Dispatcher, Patience, UpstreamState
from service.lm.dispatch.fleet_share import FleetLimits
from service.lm.errors import (
    AttemptFailedError,
    CallDroppedError,
    CallFailedError,
    EndpointRefusedError,
    Failing,
    LanguageModelError,
    Refused,
    UnansweredError,
)
from service.lm.port import Completion
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from tests.lm.dispatch.endpoints import SAMPLING, ScriptedEndpoint, completed, failed, over, refused, until

pytestmark = pytest.mark.anyio


class Callers:
    """Callers that ask one prompt after the other, until they are cancelled."""

    def __init__(self, model: Dispatcher) -> None:
        self.answered = 0
        self.lost: list[LanguageModelError] = []
        self._model = model

    async def ask_on(self) -> None:
        while True:
            await self.ask()

    async def ask(self) -> None:
        try:
            await self._model.complete(ModelInput("p"), SAMPLING)
            self.answered += 1
        except CallFailedError as error:
            self.lost.append(error)


async def test_a_server_that_hangs_does_not_hold_up_another() -> None:
    hanging, working = ScriptedEndpoint(name="hanging"), ScriptedEndpoint(name="working")
    async with over(hanging, working, concurrency=16).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        hanging.open = anyio.Event()
        for _ in range(32):
            tasks.start_soon(callers.ask_on)
        await until(lambda: hanging.running >= 8)
        for upstream in model.balancer.all[:1]:
            upstream.limit.restart(anyio.current_time())
            upstream._close_as_away("it hangs", anyio.current_time())  # noqa: SLF001 - as many timeouts would
        before = callers.answered
        await until(lambda: callers.answered >= before + 500)
        tasks.cancel_scope.cancel()


async def test_a_recovered_upstream_is_used_though_others_have_room() -> None:
    flaky, steady = ScriptedEndpoint(otherwise=lambda: failed(Failing.CONNECTION)), ScriptedEndpoint()
    async with over(flaky, steady, concurrency=8).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        tasks.start_soon(callers.ask_on)
        upstream = model.balancer.all[0]
        await until(lambda: upstream.state(anyio.current_time()) is UpstreamState.CLOSED)
        flaky.otherwise = completed
        await until(lambda: upstream.state(anyio.current_time()) is UpstreamState.OPEN)
        tasks.cancel_scope.cancel()


async def test_waiting_for_a_trial_takes_no_processor() -> None:
    broken, steady = ScriptedEndpoint(otherwise=lambda: refused(Refused.QUOTA)), ScriptedEndpoint()
    async with over(broken, steady, concurrency=2).running() as model, anyio.create_task_group() as tasks:
        await model.complete(ModelInput("p"), SAMPLING)
        await model.complete(ModelInput("p"), SAMPLING)
        model.balancer.all[0].reopen_soon(anyio.current_time())
        model.restrict(FleetLimits(max_in_flight=0))
        tasks.start_soon(model.complete, ModelInput("waits"), SAMPLING)
        await until(lambda: model.slots.waiting == 1)
        used_s = time.process_time()
        with anyio.move_on_after(0.3):
            await anyio.sleep_forever()
        assert time.process_time() - used_s < 0.15
        tasks.cancel_scope.cancel()


async def test_a_rate_lets_waiting_calls_through_without_newcomers() -> None:
    async with over(ScriptedEndpoint(), concurrency=1).running() as model:
        model.restrict(FleetLimits(max_in_flight=1, rpm=1_200.0))
        callers = Callers(model)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(callers.ask)
    assert callers.answered == 5


async def test_a_wrong_parameter_loses_only_the_calls_that_reveal_it() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: CallFailedError("unknown parameter", Failing.BAD_REQUEST))
    async with over(endpoint, concurrency=32).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        for _ in range(64):
            tasks.start_soon(callers.ask)
        await until(lambda: model.refusal is not None and endpoint.running == 0)
        await anyio.wait_all_tasks_blocked()
        assert len(callers.lost) == 2
        assert not model.balancer.all[0].has_answered
        endpoint.otherwise = completed
        model.try_again()
    assert callers.answered == 62


@pytest.mark.parametrize("failing", [Failing.INVALID_BODY, Failing.ABORTED, Failing.RATE_LIMITED])
async def test_a_trial_that_ends_in_nonsense_prolongs_the_wait(failing: Failing) -> None:
    endpoint = ScriptedEndpoint([refused(Refused.QUOTA)], lambda: failed(failing, after_s=0.001))
    async with over(endpoint).running() as model, anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(model.complete, ModelInput("p"), SAMPLING)
        await until(lambda: model.refusal is not None and endpoint.running == 0)
        before = len(endpoint.asked)
        model.try_again()
        await until(lambda: len(endpoint.asked) > before and endpoint.running == 0)
        await anyio.wait_all_tasks_blocked()
        assert len(endpoint.asked) == before + 1
        tasks.cancel_scope.cancel()


async def test_a_dropped_call_reports_its_usage() -> None:
    endpoint = ScriptedEndpoint([failed(Failing.ABORTED, usage=completed().usage)], lambda: refused(Refused.QUOTA))
    model = over(endpoint)
    async with model.running(), anyio.create_task_group() as tasks:
        callers = Callers(model)
        tasks.start_soon(callers.ask)
        await until(lambda: model.refusal is not None)
        model.slots.fail(EndpointRefusedError("no more", Refused.QUOTA))
    (lost,) = callers.lost
    assert isinstance(lost, CallDroppedError)
    assert lost.refusal is not None
    assert (lost.cost.attempts, lost.cost.wasted) == (2, completed().usage)


@pytest.mark.parametrize("failing", [Failing.INVALID_BODY, Failing.ABORTED])
async def test_an_upstream_that_answers_only_nonsense_counts_as_away(failing: Failing) -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: failed(failing))
    async with over(endpoint, concurrency=8).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        for _ in range(16):
            tasks.start_soon(callers.ask)
        await until(lambda: model.refusal is not None)
        assert len(endpoint.asked) <= 20 + 8
        assert f"It was {failing}." in str(model.refusal)
        tasks.cancel_scope.cancel()


async def test_a_call_that_is_nonsense_alone_is_given_up_alone() -> None:
    endpoint = ScriptedEndpoint([failed(Failing.INVALID_BODY) for _ in range(10)])
    async with over(endpoint, concurrency=1, patience=Patience(attempts=10)).running() as model:
        callers = Callers(model)
        await callers.ask()
        await callers.ask()
    assert (len(callers.lost), callers.answered, model.refusal) == (1, 1, None)


async def test_a_minute_of_load_refusals_alone_counts_as_away() -> None:
    endpoint = ScriptedEndpoint()
    async with over(endpoint).running() as model:
        upstream = model.balancer.all[0]
        for second in range(61):
            with pytest.raises(AttemptFailedError), upstream.asking(SAMPLING, lambda at=second: float(at)):  # type: ignore[misc]
                raise failed(Failing.RATE_LIMITED)
            assert (model.refusal is None) == (second < 60)
    assert "It was rate_limited." in str(model.refusal)


class TooLarge(ScriptedEndpoint):
    """An endpoint that refuses one prompt for load whenever it comes, and answers the others."""

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        self.steps = [failed(Failing.RATE_LIMITED) if prompt.text == "too large" else completed()]
        return await super().attempt(prompt, sampling)


async def test_a_call_that_is_always_passed_over_ends() -> None:
    endpoint = TooLarge()
    model = over(endpoint, patience=Patience(passed_over=20))
    async with model.running(), anyio.create_task_group() as tasks:

        async def ask_others() -> None:
            while True:
                await model.complete(ModelInput("p"), SAMPLING)

        tasks.start_soon(ask_others)
        with anyio.fail_after(20), pytest.raises(UnansweredError, match="20 attempts failed") as caught:
            await model.complete(ModelInput("too large"), SAMPLING)
        assert caught.value.cost.attempts >= 20
        tasks.cancel_scope.cancel()


async def test_a_call_refused_with_all_others_is_not_given_up() -> None:
    endpoint = ScriptedEndpoint([completed(), *(failed(Failing.RATE_LIMITED) for _ in range(4))])
    model = over(endpoint, patience=Patience(passed_over=2))
    async with model.running():
        with anyio.fail_after(20):
            await model.complete(ModelInput("another"), SAMPLING)
            completion = await model.complete(ModelInput("p"), SAMPLING)
    assert completion.cost.attempts == 5
