"""A killed process pays for nothing twice: the server keeps its batches, and the next process finds them."""

from dataclasses import replace

import anyio
import pytest

from service.selfinstruct.model_input import ModelInput
from service.simulator import SimulatorOptions
from tests.adapters.openai_batch.batches import (
    SAMPLING,
    BatchApi,
    Break,
    Hold,
    Say,
    Waits,
    ask,
    batch_api,
    completions,
    endpoint_at,
    prompts,
)

pytestmark = pytest.mark.anyio

CREATE, UPLOAD, LIST = "POST /v1/batches", "POST /v1/files", "GET /v1/batches"
LOOK, READ, DELETE = "GET /v1/batches/.+", "GET /v1/files/.+/content", "DELETE /v1/files/.+"
TEN = prompts(10)


async def killed_at(api: BatchApi, hold: Hold, asked: list[str] = TEN) -> None:
    """Ask in an endpoint that is closed as soon as a call hangs. Closing it sends nothing."""
    api.troubles.append(hold)
    with anyio.fail_after(10):
        async with endpoint_at(api) as endpoint, anyio.create_task_group() as tasks:
            for prompt in asked:
                tasks.start_soon(endpoint.attempt, ModelInput(prompt), SAMPLING)
            await hold.reached.wait()
            calls = len(api.calls)
            tasks.cancel_scope.cancel()
    assert len(api.calls) == calls
    hold.released.set()


@pytest.mark.parametrize(
    "hold",
    [Hold(call, is_done=is_done) for call in (LIST, UPLOAD, CREATE, LOOK, READ) for is_done in (False, True)],
    ids=lambda hold: f"{'behind' if hold.is_done else 'before'} {hold.call}",
)
async def test_killed_anywhere_each_question_is_paid_once(hold: Hold) -> None:
    async with batch_api() as api:
        await killed_at(api, hold)
        async with endpoint_at(api) as endpoint:
            answers = completions(await ask(endpoint, TEN))
    assert len({answer.text for answer in answers}) == 10
    assert len(api.asked) == 10
    assert set(api.asked.values()) == {1}


async def test_killed_again_and_again_each_question_is_paid_once() -> None:
    async with batch_api() as api:
        for call in (LIST, UPLOAD, UPLOAD, CREATE, READ, READ, LIST):
            await killed_at(api, Hold(call, is_done=True))
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, TEN))
    assert set(api.asked.values()) == {1}


async def test_a_batch_that_is_under_way_is_waited_for() -> None:
    async with batch_api(SimulatorOptions(batch_duration_s=0.3)) as api:
        await killed_at(api, Hold(LOOK, is_done=True))
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, [*TEN, "another"]))
    assert set(api.asked.values()) == {1}
    assert api.called(CREATE) == 2


async def test_an_answer_that_is_asked_for_late_is_still_there() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, TEN[:3]))
            completions(await ask(endpoint, TEN[3:]))
    assert set(api.asked.values()) == {1}
    assert api.called(CREATE) == 1


async def test_failed_questions_of_an_earlier_batch_are_asked_anew() -> None:
    failing = SimulatorOptions(failure_injection_rate=50, failure_types=("server_error",))
    async with batch_api(failing) as api:
        await killed_at(api, Hold(READ, is_done=False))
        answered = api.statuses[200]
        api.simulator.reconfigure(failure_injection_rate=0)
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, TEN[:5]))
            completions(await ask(endpoint, TEN[5:]))
    assert 0 < answered < 10
    assert api.statuses[200] == 10


async def test_expired_questions_of_an_earlier_batch_are_asked_anew() -> None:
    async with batch_api(SimulatorOptions(batch_expired_rate=0.5)) as api:
        await killed_at(api, Hold(READ, is_done=False))
        api.simulator.reconfigure(batch_expired_rate=0.0)
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, TEN))
    assert len(api.asked) == 10
    assert set(api.asked.values()) == {1}


async def test_a_question_with_other_sampling_is_another_question() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, TEN, replace(SAMPLING, max_tokens=50)))
    assert set(api.asked.values()) == {2}


async def test_another_run_has_its_own_answers() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        async with endpoint_at(api, run="second") as endpoint:
            completions(await ask(endpoint, TEN))
    assert set(api.asked.values()) == {2}


async def test_two_processes_share_the_answers_to_one_question() -> None:
    async with batch_api(SimulatorOptions(batch_duration_s=0.3)) as api, endpoint_at(api) as one:
        hold = Hold(LOOK, is_done=True)
        api.troubles.append(hold)
        async with endpoint_at(api) as other, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, one, TEN)
            await hold.reached.wait()
            tasks.start_soon(ask, other, TEN)
            hold.released.set()
    assert set(api.asked.values()) == {1}


async def test_closing_the_endpoint_stops_no_batch() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(LOOK, is_done=True))
    assert api.called(".*cancel") == api.called(DELETE) == 0


async def test_a_question_that_nobody_waits_for_any_more_is_not_sent() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        hold = Hold(LIST, is_done=True)
        api.troubles.append(hold)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(endpoint.attempt, ModelInput("Who?"), SAMPLING)
            await hold.reached.wait()
            tasks.cancel_scope.cancel()
        hold.released.set()
        completions(await ask(endpoint, TEN))
    assert api.asked.total() == 10


async def test_a_file_that_became_no_batch_is_deleted_and_no_other() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(UPLOAD, is_done=True))
        async with endpoint_at(api, run="second") as outsider:
            completions(await ask(outsider, TEN))
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, ["at once"]))
        assert api.called(DELETE) == 0
        async with endpoint_at(api, Waits(late_s=2 * 3600)) as endpoint:
            completions(await ask(endpoint, ["two hours later"]))
        assert api.called(DELETE) == 1


async def test_an_endpoint_works_when_files_cannot_be_listed() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [Say("GET /v1/files", 404)]
        completions(await ask(endpoint, TEN))


async def test_old_batches_are_not_searched() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        read = api.called(READ)
        async with endpoint_at(api, history_days=0) as endpoint:
            completions(await ask(endpoint, ["another"]))
    assert api.called(READ) == read + 1


async def test_a_batch_is_found_on_the_second_page() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        async with endpoint_at(api, run="second", max_requests=1) as outsider:
            completions(await ask(outsider, prompts(101)))
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, TEN))
    assert api.called(CREATE) == 102


async def test_the_search_survives_broken_downloads() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        async with endpoint_at(api) as endpoint:
            api.troubles += [Break(READ), Break(READ)]
            completions(await ask(endpoint, TEN))
    assert set(api.asked.values()) == {1}


async def test_questions_whose_results_are_gone_are_asked_anew() -> None:
    async with batch_api() as api:
        await killed_at(api, Hold(READ, is_done=False))
        async with endpoint_at(api) as endpoint:
            api.troubles += [Say(READ, 404)]
            completions(await ask(endpoint, TEN))
    assert set(api.asked.values()) == {2}
