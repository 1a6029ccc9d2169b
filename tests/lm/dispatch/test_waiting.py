"""Messages on calls that wait for another attempt: a line while they wait, and the log at intervals."""

from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from structlog.testing import capture_logs

from service.lm.dispatch import Dispatcher
from service.lm.dispatch.retrying import Retrying
from service.lm.errors import AttemptFailedError, Failing, Refused, UnansweredError
from service.selfinstruct.model_input import ModelInput
from tests.lm.dispatch.endpoints import SAMPLING, ScriptedEndpoint, Step, completed, failed, over, refused, until

pytestmark = pytest.mark.anyio

EVENT = "lm.calls_wait_for_another_attempt"


def away(failing: Failing = Failing.SERVER_ERROR) -> AttemptFailedError:
    """Return a failure after which a call waits for longer than any test."""
    return failed(failing, after_s=60.0)


@dataclass(frozen=True)
class Crowd:
    """Callers that begin one after another. Each begins once the call before is answered, or has failed and waits."""

    model: Dispatcher
    endpoint: ScriptedEndpoint
    tasks: TaskGroup

    async def ask(self, calls: int = 1) -> None:
        for _ in range(calls):
            asked = len(self.endpoint.asked)
            self.tasks.start_soon(self.model.complete, ModelInput("p"), SAMPLING)
            await until(lambda asked=asked: len(self.endpoint.asked) > asked and self.model.slots.in_use == 0)  # type: ignore[misc]

    async def lose(self) -> None:
        """Make a call that is given up."""
        try:
            await self.model.complete(ModelInput("p"), SAMPLING)
        except UnansweredError:
            return
        raise AssertionError


@asynccontextmanager
async def crowd(
    *steps: Step, otherwise: Callable[[], Step] = away, retrying: Retrying | None = None
) -> AsyncIterator[Crowd]:
    """Open a model, and cancel all waiting calls at the end of the block."""
    endpoint = ScriptedEndpoint(list(steps), otherwise)
    model = over(endpoint)
    model.retrying = retrying or model.retrying
    async with model.running(), anyio.create_task_group() as tasks:
        yield Crowd(model, endpoint, tasks)
        tasks.cancel_scope.cancel()


async def test_calls_that_wait_are_told_of_from_the_second_failure() -> None:
    async with crowd() as callers:
        assert "again" not in callers.model.told
        await callers.ask()
        assert "again" not in callers.model.told
        await callers.ask()
        assert callers.model.told.endswith("; 2 calls wait to be tried again: It was server_error.")
        await callers.ask(2)
        assert callers.model.told.endswith("; 4 calls wait to be tried again: It was server_error.")


async def test_one_call_that_fails_twice_is_told_of_too() -> None:
    async with crowd(failed(), away(Failing.TIMEOUT)) as callers:
        await callers.ask()
        await until(lambda: callers.model.told.endswith("; 1 call waits to be tried again: It was timeout."))


async def test_an_answer_ends_the_message_until_two_more_have_failed() -> None:
    async with crowd(away(), away(), completed(), away(), away(Failing.TIMEOUT)) as callers:
        await callers.ask(2)
        assert "2 calls wait" in callers.model.told
        for _ in range(2):
            await callers.ask()
            assert "again" not in callers.model.told
        await callers.ask()
        assert callers.model.told.endswith("; 4 calls wait to be tried again: It was timeout.")


async def test_who_waits_no_more_is_not_told_of() -> None:
    async with crowd() as callers:
        await callers.ask(3)
        assert "3 calls wait" in callers.model.told
    assert "again" not in callers.model.told


async def test_a_pause_is_told_of_in_its_place() -> None:
    async with crowd(away(), away(), otherwise=lambda: refused(Refused.QUOTA)) as callers:
        await callers.ask(2)
        assert "2 calls wait" in callers.model.told
        await callers.ask()
        assert callers.model.told == "paused, and tried again in 60 s: Refused for quota."


@pytest.mark.parametrize(("waiting", "words"), [(1, "1 call waits"), (2, "2 calls wait")])
def test_the_message_gives_the_number_and_the_latest_reason(waiting: int, words: str) -> None:
    retrying = Retrying(waiting)
    retrying.failed("It was busy.", 0.0)
    retrying.failed("It hung.", 0.0)
    assert retrying.told == f"{words} to be tried again: It hung."


def test_nothing_is_told_while_nobody_waits() -> None:
    retrying = Retrying()
    for _ in range(5):
        retrying.failed("It hung.", 0.0)
    assert retrying.told == ""


def test_the_log_is_told_at_once_and_then_every_half_minute() -> None:
    retrying = Retrying()
    times_s = [0.0, 1.0, 1.0, 2.0, 30.9, 31.0, 31.0, 60.9, 75.0, 104.9, 105.0]
    told_s = [now_s for now_s in times_s if retrying.failed("It hung.", now_s)]
    assert told_s == [1.0, 31.0, 75.0, 105.0]


def test_a_single_failure_among_answers_is_never_logged() -> None:
    retrying = Retrying()
    for minute in range(5):
        assert not retrying.failed("It hung.", 60.0 * minute)
        retrying.answered()


@dataclass(slots=True)
class Later(Retrying):
    """A `Retrying` whose clock is `ahead_s` seconds fast."""

    ahead_s: float = 0.0

    def failed(self, reason: str, now_s: float) -> bool:
        return Retrying.failed(self, reason, now_s + self.ahead_s)


def events(logs: list[MutableMapping[str, Any]]) -> list[tuple[str, int, str]]:
    return [(entry["log_level"], entry["calls"], entry["reason"]) for entry in logs if entry["event"] == EVENT]


async def test_many_failures_are_one_event_and_one_more_later() -> None:
    later = Later()
    with capture_logs() as logs:
        async with crowd(retrying=later) as callers:
            await callers.ask()
            assert events(logs) == []
            await callers.ask(3)
            first = ("warning", 2, "It was server_error.")
            assert events(logs) == [first]
            later.ahead_s = 31.0
            await callers.ask(2)
            assert events(logs) == [first, ("warning", 5, "It was server_error.")]


async def test_the_last_failure_of_a_call_is_not_waited_for() -> None:
    with capture_logs() as logs:
        async with crowd(otherwise=lambda: failed(Failing.INVALID_BODY)) as callers:
            await callers.lose()
            assert "again" not in callers.model.told
    assert events(logs) == [("warning", 1, "It was invalid_body.")]
