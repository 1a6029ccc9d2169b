"""Questions whose lines, batches or calls fail."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from service.adapters.openai import OpenAIOptions
from service.adapters.openai_batch import BatchOptions
from service.errors import ConfigurationError
from service.lm.errors import AttemptFailedError, CallFailedError, EndpointRefusedError, Failing, Refused
from service.lm.port import Completion
from service.simulator import SimulatorOptions
from tests.adapters.openai_batch.batches import (
    Break,
    Change,
    Lose,
    Outcome,
    Say,
    Trouble,
    Waits,
    ask,
    batch_api,
    completions,
    endpoint_at,
    prompts,
)

pytestmark = pytest.mark.anyio

CREATE, UPLOAD, LIST = "POST /v1/batches", "POST /v1/files", "GET /v1/batches"
LOOK, READ = "GET /v1/batches/.+", "GET /v1/files/.+/content"


def failings(outcomes: Sequence[Outcome]) -> set[Failing]:
    """Return the reasons of failed attempts, all of which may be retried."""
    assert [outcome for outcome in outcomes if not isinstance(outcome, AttemptFailedError)] == []
    return {outcome.failing for outcome in outcomes if isinstance(outcome, AttemptFailedError)}


@pytest.mark.parametrize(
    ("failure", "kind", "reason"),
    [
        ("server_error", AttemptFailedError, "503"),
        ("internal_error", AttemptFailedError, "500"),
        ("rate_limit", AttemptFailedError, "429"),
        ("timeout", AttemptFailedError, "did not answer"),
        ("abort", AttemptFailedError, "abort"),
        ("empty_choices", AttemptFailedError, "choices"),
        ("malformed", AttemptFailedError, "JSON"),
        ("invalid_request", CallFailedError, "400"),
        ("context_length", CallFailedError, "context"),
        ("invalid_api_key", EndpointRefusedError, "401"),
        ("quota", EndpointRefusedError, "quota"),
        ("payment", EndpointRefusedError, "402"),
        ("model_not_found", EndpointRefusedError, "404"),
    ],
)
async def test_a_failed_line_fails_like_a_live_call(failure: str, kind: type[Exception], reason: str) -> None:
    options = SimulatorOptions(failure_injection_rate=100, failure_types=(failure,))
    async with batch_api(options) as api, endpoint_at(api) as endpoint:
        (outcome,) = await ask(endpoint, ["Who?"])
    assert type(outcome) is kind
    assert reason in str(outcome)


async def test_a_spoiled_answer_has_its_usage() -> None:
    options = SimulatorOptions(failure_injection_rate=100, failure_types=("abort",))
    async with batch_api(options) as api, endpoint_at(api) as endpoint:
        one, other = await ask(endpoint, ["Who?", "Who?"])
        assert isinstance(one, AttemptFailedError)
        assert isinstance(other, AttemptFailedError)
        assert {one.usage, other.usage} == {api.simulator.charged, None}


async def test_a_failed_question_is_asked_anew() -> None:
    options = SimulatorOptions(failure_injection_rate=100, failure_types=("server_error",))
    async with batch_api(options) as api, endpoint_at(api) as endpoint:
        assert failings(await ask(endpoint, prompts(3))) == {Failing.ABORTED}
        api.simulator.reconfigure(failure_injection_rate=0)
        completions(await ask(endpoint, prompts(3)))
    async with endpoint_at(api):
        assert api.statuses == {503: 3, 200: 3}


async def test_some_lines_fail_and_the_others_do_not() -> None:
    options = SimulatorOptions(failure_injection_rate=30, failure_types=("server_error", "invalid_request"))
    async with batch_api(options) as api, endpoint_at(api) as endpoint:
        outcomes = await ask(endpoint, prompts(50))
    good = sum(isinstance(outcome, Completion) for outcome in outcomes)
    assert api.called(CREATE) == 1
    assert 20 < good < 50
    assert api.statuses[200] == good
    assert api.statuses[400] == sum(isinstance(outcome, CallFailedError) for outcome in outcomes)


async def test_an_expired_batch_keeps_its_finished_answers() -> None:
    async with batch_api(SimulatorOptions(batch_expired_rate=0.5)) as api, endpoint_at(api) as endpoint:
        outcomes = await ask(endpoint, prompts(20))
    late = [outcome for outcome in outcomes if not isinstance(outcome, Completion)]
    assert 0 < len(late) < 20
    assert failings(late) == {Failing.ABORTED}
    assert api.asked.total() == 20 - len(late)


async def test_lines_that_are_in_no_file_were_not_answered() -> None:
    def without_error_file(batch: Any) -> Any:
        return batch | {"error_file_id": None}

    async with batch_api(SimulatorOptions(batch_expired_rate=1)) as api, endpoint_at(api) as endpoint:
        api.troubles += [Change(LOOK, without_error_file)]
        assert failings(await ask(endpoint, ["Who?"])) == {Failing.ABORTED}
        api.simulator.reconfigure(batch_expired_rate=0.0)
        api.troubles += [Change(LOOK, lambda batch: batch | {"output_file_id": None})]
        assert failings(await ask(endpoint, ["Who?"])) == {Failing.INVALID_BODY}


async def test_a_cancelled_batch_was_not_answered() -> None:
    cancelled = Change(LOOK, lambda batch: batch | {"status": "cancelled", "output_file_id": None})
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [cancelled]
        assert failings(await ask(endpoint, ["Who?"])) == {Failing.ABORTED}


async def test_a_batch_in_which_no_line_is_right_is_refused() -> None:
    async with batch_api(SimulatorOptions(strict_model=True)) as api, endpoint_at(api) as endpoint:
        outcomes = await ask(endpoint, prompts(3))
    assert [str(outcome) for outcome in outcomes if "model_not_found: The model 'm' does not exist." in str(outcome)]
    assert {type(outcome) for outcome in outcomes} == {EndpointRefusedError}


def failed(*wrong: tuple[str, str, int | None]) -> Trouble:
    """Let a batch fail for the given reasons: code, message and line."""
    data = [{"code": code, "message": message, "line": line} for code, message, line in wrong]
    changes = {"status": "failed", "errors": {"object": "list", "data": data}, "output_file_id": None}
    return Change(LOOK, lambda batch: batch | changes)


async def test_a_line_that_is_wrong_fails_alone() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [failed(("invalid_value", "too odd", 2)), Break(READ)]
        outcomes = await ask(endpoint, prompts(4))
    assert [type(outcome) for outcome in outcomes].count(CallFailedError) == 1
    assert isinstance(outcomes[1], CallFailedError)
    assert "too odd" in str(outcomes[1])
    assert failings([outcomes[place] for place in (0, 2, 3)]) == {Failing.ABORTED}


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("billing_hard_limit_reached", Refused.QUOTA),
        ("insufficient_quota", Refused.QUOTA),
        ("mismatched_model", Refused.ADDRESS),
    ],
)
async def test_a_batch_that_fails_as_a_whole_is_refused(code: str, refused: Refused) -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [failed((code, "no", None))]
        (outcome,) = await ask(endpoint, ["Who?"])
    assert isinstance(outcome, EndpointRefusedError)
    assert outcome.refused == refused


async def test_a_batch_that_fails_in_the_server_may_be_retried() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [failed(("server_error", "an accident", None)), failed()]
        assert failings(await ask(endpoint, ["Who?"])) == {Failing.ABORTED}
        assert failings(await ask(endpoint, ["Who?"])) == {Failing.ABORTED}
        completions(await ask(endpoint, ["Who?"]))


async def test_too_many_questions_for_the_queue_go_in_smaller_batches() -> None:
    async with batch_api(SimulatorOptions(max_batch_tokens=600)) as api, endpoint_at(api) as endpoint:
        completions(await ask(endpoint, prompts(20)))
    assert api.asked.total() == 20


async def test_a_question_too_large_for_the_queue_may_be_retried() -> None:
    async with batch_api(SimulatorOptions(max_batch_tokens=50)) as api, endpoint_at(api) as endpoint:
        assert failings(await ask(endpoint, prompts(2))) == {Failing.RATE_LIMITED}


async def test_a_full_queue_is_waited_for() -> None:
    options = SimulatorOptions(max_batch_tokens=250, batch_duration_s=0.3)
    async with batch_api(options) as api, endpoint_at(api, max_requests=2) as endpoint:
        completions(await ask(endpoint, prompts(6)))
    assert api.asked.total() == 6


@pytest.mark.parametrize("call", [UPLOAD, CREATE, LOOK, READ, LIST])
@pytest.mark.parametrize("trouble", [lambda call: Say(call, 503), Lose, lambda call: Say(call, 429)])
async def test_a_retried_call_pays_for_nothing_twice(call: str, trouble: Any) -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [trouble(call)]
        completions(await ask(endpoint, prompts(5)))
        assert set(api.asked.values()) == {1}
        assert api.troubles == []


async def test_a_download_that_broke_off_is_repeated() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [Break(READ), Break(READ)]
        completions(await ask(endpoint, prompts(5)))
    assert api.called(READ) == 3


async def test_results_may_take_their_time_to_appear() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [Say(READ, 404)]
        completions(await ask(endpoint, prompts(5)))


async def test_a_batch_whose_creation_reply_is_lost_is_not_made_twice() -> None:
    options = SimulatorOptions(failure_injection_rate=100, failure_types=("server_error",))
    async with batch_api(options) as api, endpoint_at(api) as endpoint:
        api.troubles += [Lose(CREATE)]
        outcomes = await ask(endpoint, prompts(5))
    assert failings(outcomes) == {Failing.ABORTED}
    assert api.called(CREATE) == 1


async def test_the_waits_grow_and_are_bounded() -> None:
    waits = Waits()
    async with batch_api() as api, endpoint_at(api, waits, linger_s=5, poll_s=60) as endpoint:
        api.troubles += [Change(LOOK, lambda batch: batch | {"status": "in_progress"}) for _ in range(12)]
        completions(await ask(endpoint, ["Who?"]))
    lingered, *looked = waits.slept
    assert lingered == 5
    assert looked == sorted(looked)
    assert (looked[0], looked[-1]) == (2, 60)


@pytest.mark.parametrize("call", [UPLOAD, CREATE, LOOK, READ, LIST])
@pytest.mark.parametrize(
    ("trouble", "refused"),
    [((401, "wrong"), Refused.CREDENTIALS), ((402, "pay"), Refused.QUOTA), ((400, "not that"), Refused.ADDRESS)],
)
async def test_a_refused_call_fails_all_waiting_questions(
    call: str, trouble: tuple[int, str], refused: Refused
) -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        api.troubles += [Say(call, *trouble)]
        outcomes = await ask(endpoint, prompts(3))
        completions(await ask(endpoint, prompts(3)))
        assert set(api.asked.values()) == {1}
    assert {outcome.refused for outcome in outcomes if isinstance(outcome, EndpointRefusedError)} == {refused}
    assert {type(outcome) for outcome in outcomes} == {EndpointRefusedError}


async def test_a_server_without_a_batch_api_is_refused() -> None:
    async with batch_api() as api, endpoint_at(api, openai={"base_url": f"{api.url}/nowhere/v1"}) as endpoint:
        (outcome,) = await ask(endpoint, ["Who?"])
    assert isinstance(outcome, EndpointRefusedError)
    assert outcome.refused == Refused.ADDRESS


async def test_a_server_that_stays_away_is_refused() -> None:
    async with batch_api() as api, endpoint_at(api, patience_s=30) as endpoint:
        api.troubles += [Say("GET .*", 503) for _ in range(200)]
        (outcome,) = await ask(endpoint, ["Who?"])
    assert isinstance(outcome, EndpointRefusedError)
    assert outcome.refused == Refused.AWAY


async def test_a_wrong_key_is_refused_never_shown_and_replaceable() -> None:
    async with (
        batch_api(SimulatorOptions(api_keys=("right key",))) as api,
        endpoint_at(api, openai={"api_key": SecretStr("wrong key")}) as endpoint,
    ):
        (outcome,) = await ask(endpoint, ["Who?"])
        assert isinstance(outcome, EndpointRefusedError)
        assert "wrong key" not in str(outcome)
        endpoint.use_key(SecretStr("right key"))
        completions(await ask(endpoint, ["Who?"]))


async def test_a_parameter_that_is_refused_by_name_is_left_out() -> None:
    def renamed(content: Any) -> Any:
        error = {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.", "code": "x"}
        return content | {"response": {"status_code": 400, "body": {"error": error}}}

    async with batch_api() as api, endpoint_at(api, openai={"api": "chat"}) as endpoint:
        api.troubles += [Change(READ, renamed)]
        completions(await ask(endpoint, ["Who?"]))
    assert api.called(CREATE) == 2


@pytest.mark.parametrize(
    "wrong", [{"run": ""}, {"run": "a\nb"}, {"linger_s": -1}, {"max_requests": 0}, {"poll_s": float("inf")}]
)
def test_invalid_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        BatchOptions(**{"openai": OpenAIOptions("http://host", "m"), "run": "first", **wrong})
