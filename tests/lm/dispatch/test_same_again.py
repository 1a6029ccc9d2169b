"""Answers with status 200 and no text, now or on a retry. A few calls are paid, and then no more are made."""

from dataclasses import dataclass, field, replace
from functools import reduce

import anyio
import pytest

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.lm.call_cost import CallCost
from service.lm.dispatch import Dispatcher, Patience, UpstreamState
from service.lm.errors import CallDroppedError, CallFailedError, EndpointRefusedError, Failing, Refused
from service.lm.port import Completion
from service.lm.usage import Usage, added
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from tests.adapters.scripted_server import Reply, chat, scripted_server
from tests.lm.dispatch.endpoints import AT_ONCE, SAMPLING, USAGE, ScriptedEndpoint, completed, over, until

pytestmark = pytest.mark.anyio

OTHER = replace(SAMPLING, max_tokens=3)
EACH = pytest.mark.parametrize(
    "failing", [Failing.NO_ANSWER, Failing.CONTEXT_LENGTH, Failing.THINKING, Failing.INVALID_BODY]
)
LOST_BEFORE_IT_CLOSES = 2


def hopeless(failing: Failing = Failing.NO_ANSWER) -> CallFailedError:
    return CallFailedError(f"It was {failing}.", failing, cost=CallCost(wasted=USAGE))


@dataclass
class Callers:
    """Callers that record the outcome of each call."""

    model: Dispatcher
    answers: list[Completion] = field(default_factory=list)
    lost: list[CallFailedError] = field(default_factory=list)
    refused: list[EndpointRefusedError | CallDroppedError] = field(default_factory=list)

    async def ask(self, sampling: Sampling = SAMPLING) -> None:
        try:
            self.answers.append(await self.model.complete(ModelInput("p"), sampling))
        except (CallDroppedError, EndpointRefusedError) as error:
            self.refused.append(error)
        except CallFailedError as error:
            self.lost.append(error)

    @property
    def paid(self) -> Usage | None:
        """Return the reported usage of all answered and lost calls."""
        taken = [usage for answer in self.answers for usage in (answer.usage, answer.cost.wasted)]
        return reduce(added, [*taken, *(error.cost.wasted for error in self.lost)], None)


@EACH
async def test_a_call_that_is_hopeless_is_made_once_and_paid(failing: Failing) -> None:
    endpoint = ScriptedEndpoint([hopeless(failing)])
    async with over(endpoint).running() as model:
        callers = Callers(model)
        await callers.ask()
        await callers.ask()
    (lost,) = callers.lost
    assert (str(lost), lost.failing) == (f"It was {failing}.", failing)
    assert (lost.cost.attempts, lost.cost.wasted) == (1, USAGE)
    assert (len(callers.answers), len(endpoint.asked), model.refusal) == (1, 2, None)


@EACH
@pytest.mark.parametrize("at_once", [1, 32])
async def test_the_first_few_close_the_server_for_all(failing: Failing, at_once: int) -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: hopeless(failing))
    async with over(endpoint, concurrency=at_once).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        for _ in range(64):
            tasks.start_soon(callers.ask)
        await until(lambda: model.refusal is not None and model.slots.waiting == 64 - LOST_BEFORE_IT_CLOSES)
        assert len(endpoint.asked) <= LOST_BEFORE_IT_CLOSES + at_once
        assert len(callers.lost) == LOST_BEFORE_IT_CLOSES
        assert model.refusal is not None
        assert model.refusal.refused is Refused.ADDRESS
        assert model.told.startswith("paused, and tried again in 600 s: No call of this kind is answered. It was ")
        endpoint.otherwise = completed
        model.try_again()
    assert (len(callers.answers), len(callers.lost)) == (62, LOST_BEFORE_IT_CLOSES)


async def test_a_trial_in_vain_is_one_call_and_loses_none() -> None:
    endpoint = ScriptedEndpoint(otherwise=hopeless)
    async with over(endpoint).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        for _ in range(8):
            tasks.start_soon(callers.ask)
        await until(lambda: model.refusal is not None and model.slots.waiting == 6)
        for _ in range(3):
            before = len(endpoint.asked)
            model.try_again()
            await until(lambda before=before: len(endpoint.asked) > before and model.slots.waiting == 6)  # type: ignore[misc]
            assert (len(endpoint.asked), len(callers.lost)) == (before + 1, LOST_BEFORE_IT_CLOSES)
            assert "No call of this kind is answered. It was no_answer." in model.told
        tasks.cancel_scope.cancel()


async def test_a_run_that_was_never_answered_ends_and_says_why() -> None:
    endpoint = ScriptedEndpoint(otherwise=hopeless)
    async with over(endpoint, patience=Patience(refused_first_s=0.0)).running() as model:
        callers = Callers(model)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(callers.ask)
        await callers.ask()
    assert (len(callers.lost), len(callers.refused)) == (LOST_BEFORE_IT_CLOSES, 7)
    said = {str(error.refusal if isinstance(error, CallDroppedError) else error) for error in callers.refused}
    assert said == {"No call of this kind is answered. It was no_answer."}


async def test_every_call_that_the_server_counted_is_on_the_bill() -> None:
    endpoint = ScriptedEndpoint([hopeless() for _ in range(4)])
    async with over(endpoint, concurrency=1).running() as model:
        callers = Callers(model)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(callers.ask)
            for asked in (3, 4):
                await until(lambda asked=asked: len(endpoint.asked) == asked and model.slots.in_use == 0)  # type: ignore[misc]
                model.try_again()
    assert len(endpoint.asked) == 5
    assert callers.paid == Usage(50, 25)


@EACH
@pytest.mark.parametrize("before", range(LOST_BEFORE_IT_CLOSES + 1))
async def test_among_answers_they_are_lost_one_by_one(failing: Failing, before: int) -> None:
    steps = [hopeless(failing) for _ in range(before)]
    endpoint = ScriptedEndpoint([*steps, completed()], lambda: hopeless(failing))
    async with over(endpoint).running() as model:
        callers = Callers(model)
        for _ in range(before + 10):
            await callers.ask()
    assert (len(callers.answers), len(callers.lost)) == (1, before + 9)
    assert model.refusal is None


@pytest.mark.parametrize(("failing", "lost"), [(Failing.NO_ANSWER, 9), (Failing.BAD_REQUEST, 2)])
async def test_an_answer_of_another_kind_shows_that_texts_do_come(failing: Failing, lost: int) -> None:
    """A server may still refuse a parameter to one kind of call only."""
    endpoint = ScriptedEndpoint([completed()], lambda: hopeless(failing))
    async with over(endpoint).running() as model, anyio.create_task_group() as tasks:
        callers = Callers(model)
        await callers.ask(OTHER)
        for _ in range(9):
            tasks.start_soon(callers.ask)
        await until(lambda: len(callers.lost) + model.slots.waiting == 9)
        assert (len(callers.lost), model.refusal is None) == (lost, lost == 9)
        tasks.cancel_scope.cancel()


@dataclass(eq=False)
class FirstIsLate(ScriptedEndpoint):
    """An endpoint that answers its first call once `allowed` is set, and later calls by its script."""

    allowed: anyio.Event = field(default_factory=anyio.Event)

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        if self.asked:
            return await super().attempt(prompt, sampling)
        self.asked.append(prompt.text)
        await self.allowed.wait()
        return completed()


async def test_an_answer_on_its_way_opens_what_others_closed() -> None:
    endpoint = FirstIsLate([hopeless(), hopeless(), hopeless()])
    async with over(endpoint, concurrency=4).running() as model:
        callers = Callers(model)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(callers.ask)
            await until(lambda: model.refusal is not None)
            endpoint.allowed.set()
            await until(lambda: model.refusal is None)
    assert (len(callers.lost), len(callers.answers)) == (LOST_BEFORE_IT_CLOSES, 2)


async def test_failures_of_different_kinds_are_not_added_up() -> None:
    endpoint = ScriptedEndpoint([hopeless() for _ in range(4)])
    async with over(endpoint).running() as model:
        callers = Callers(model)
        for sampling in (SAMPLING, OTHER, SAMPLING, OTHER, SAMPLING):
            await callers.ask(sampling)
    assert (len(callers.lost), len(callers.answers), model.refusal) == (4, 1, None)


async def test_a_server_that_answers_takes_over_from_one_that_is_mute() -> None:
    mute, good = ScriptedEndpoint(otherwise=hopeless), ScriptedEndpoint()
    async with over(mute, good).running() as model:
        callers = Callers(model)
        for _ in range(9):
            await callers.ask()
        now_s = anyio.current_time()
        assert [upstream.state(now_s) for upstream in model.balancer.all] == [UpstreamState.CLOSED, UpstreamState.OPEN]
    assert (len(callers.lost), len(callers.answers)) == (LOST_BEFORE_IT_CLOSES, 7)


NOTHING = chat(None, "tool_calls", tool_calls=[{"id": "1", "type": "function"}])
TOO_LONG = Reply({"error": {"message": "maximum context length is 4096 tokens", "code": 400}})
ONLY_THOUGHT = chat(None, "length", reasoning_content="Well, the user")


@pytest.mark.parametrize(
    ("reply", "thinking_tokens", "failing", "requests", "said"),
    [
        (NOTHING, None, Failing.NO_ANSWER, 1, "The call is not made again"),
        (chat("", None), None, Failing.NO_ANSWER, 1, "The call is not made again"),
        (TOO_LONG, None, Failing.CONTEXT_LENGTH, 1, "maximum context length"),
        (ONLY_THOUGHT, 0, Failing.THINKING, 1, "lm_thinking_tokens"),
        (ONLY_THOUGHT, None, Failing.THINKING, 3, "16384 tokens were there for thinking"),
        (chat(None), None, Failing.INVALID_BODY, 5, "a string in `message.content`"),
    ],
    ids=["tool calls", "no text, no end", "too long", "thinking", "thinking, with more room", "no text"],
)
async def test_the_kind_of_a_200_without_text_decides_on_retries(
    reply: Reply, thinking_tokens: int | None, failing: Failing, requests: int, said: str
) -> None:
    async with scripted_server(*[reply] * 20) as server:
        options = OpenAIOptions(base_url=server.url, model="m", api="chat", thinking_tokens=thinking_tokens)
        async with (
            OpenAIEndpoint(options) as endpoint,
            Dispatcher.over([endpoint], 4, Patience(attempts=5), AT_ONCE).running() as model,
        ):
            callers = Callers(model)
            await callers.ask()
    (lost,) = callers.lost
    assert (lost.failing, lost.cost.attempts, len(server.requests)) == (failing, requests, requests)
    assert said in str(lost)
