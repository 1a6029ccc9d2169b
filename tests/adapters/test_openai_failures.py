"""What is made of answers that are not completions."""

import pytest
from structlog.testing import capture_logs

from service.adapters.openai import OpenAIModel, OpenAIOptions
from service.errors import CallFailedError, EndpointRefusedError
from tests.adapters.conftest import KEY, SAMPLING, Against
from tests.adapters.scripted_server import Drop, Hang, Reply, Step, chat, completion, refusal

pytestmark = pytest.mark.anyio

TOO_LONG = "This model's maximum context length is 4096 tokens. However, you requested 5000."


@pytest.mark.parametrize("status", [408, 409, 424, 425, 429, 500, 502, 503, 504, 529])
async def test_a_status_that_may_pass_is_tried_again(against: Against, status: int) -> None:
    async with against(refusal(status), completion()) as client:
        answer = await client.complete()
    assert answer.attempts == 2
    assert len(client.slept) == 1


async def test_waits_grow_under_the_ceiling_of_the_back_off(against: Against) -> None:
    async with against(*[refusal(503)] * 5, completion()) as client:
        answer = await client.complete()
    assert answer.attempts == 6
    assert all(wait <= 0.5 * 2**retry for retry, wait in enumerate(client.slept))
    assert len(set(client.slept)) == 5


async def test_a_server_that_never_recovers_fails_the_call(against: Against) -> None:
    async with against(*[refusal(503, "still loading")] * 3, max_attempts=3) as client:
        with pytest.raises(CallFailedError, match=r"3 attempts .* answered 503 \(\"still loading"):
            await client.complete()
    assert len(client.slept) == 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "7"}, 7), ({"Retry_After": "3600"}, 120), ({"retry_after_ms": "1500"}, 1.5)],
)
async def test_a_server_s_wish_to_wait_is_granted_up_to_two_minutes(
    against: Against, headers: dict[str, str], seconds: float
) -> None:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with against(Reply({}, 429, names), completion()) as client:
        await client.complete()
    assert client.slept == [seconds]


async def test_a_server_that_asks_for_no_wait_gets_the_back_off(against: Against) -> None:
    async with against(refusal(429, Retry_After="0"), completion()) as client:
        await client.complete()
    assert client.slept[0] > 0


@pytest.mark.parametrize("status", [400, 413, 422, 500])
async def test_a_prompt_that_is_too_long_fails_at_once(against: Against, status: int) -> None:
    async with against(refusal(status, TOO_LONG)) as client:
        with pytest.raises(CallFailedError, match="longer context"):
            await client.complete()
    assert client.slept == []


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_call_that_the_server_does_not_accept_fails_at_once(against: Against, status: int) -> None:
    async with against(refusal(status, "top_k: unknown parameter")) as client:
        with pytest.raises(CallFailedError, match="top_k: unknown parameter"):
            await client.complete()
    assert client.slept == []


@pytest.mark.parametrize("status", [401, 402, 403, 404, 307])
async def test_a_refusal_that_meets_every_call_says_what_to_do(against: Against, status: int) -> None:
    async with against(Reply({"error": "not for you"}, status, {"Location": "/elsewhere"})) as client:
        with pytest.raises(EndpointRefusedError, match=rf"/v1/completions answered {status} \(\"not for you\"\)\. \w+"):
            await client.complete()
    assert len(client.requests) == 1


async def test_a_used_up_quota_is_not_waited_for(against: Against) -> None:
    used_up = Reply({"error": {"message": "Pay.", "code": "insufficient_quota"}}, 429, {"Retry-After": "1"})
    async with against(used_up) as client:
        with pytest.raises(EndpointRefusedError, match="quota"):
            await client.complete()
    assert client.slept == []


async def test_a_wrong_key_is_never_repeated(against: Against) -> None:
    async with against(refusal(401, f"Incorrect API key provided: {KEY}")) as client:
        with pytest.raises(EndpointRefusedError, match=r"provided: \*\*\*\"\)\. Check the API key") as refused:
            await client.complete()
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    "reply", [Reply({"error": f"bad {KEY}"}), completion(finish=f"bad {KEY}"), Reply({"error": f"bad {KEY}"}, 503)]
)
async def test_a_key_that_a_failing_server_echoes_is_not_repeated(against: Against, reply: Reply) -> None:
    async with against(reply, max_attempts=1) as client:
        with pytest.raises(CallFailedError, match=r"bad \*\*\*") as failed:
            await client.complete()
    assert KEY not in str(failed.value)


async def test_a_server_s_words_are_shown_bounded_and_on_one_line(against: Against) -> None:
    async with against(refusal(401, "one\r\n\x1b[31mtwo\u202e" + "x" * 5000)) as client:
        with pytest.raises(EndpointRefusedError, match=r"one \[31mtwo x+…") as refused:
            await client.complete()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>gateway</html>"),
        Reply(b'{"choices": [{"text": "cut'),
        Reply(b""),
        Reply([]),
        Reply({}),
        Reply({"error": {"message": "upstream is overloaded", "code": 502}}),
        Reply({"choices": []}),
        Reply({"choices": None}),
        Reply({"choices": ["text"]}),
        completion(None),
        completion(["text"]),
        completion("text", "abort"),
        completion("text", "error"),
        completion("text", None),
        completion("text", "tool_calls"),
        Reply(b" " * (8 * 1024 * 1024 + 1)),
    ],
)
async def test_a_200_that_is_no_completion_is_tried_again(against: Against, reply: Reply) -> None:
    async with against(reply, completion()) as client:
        answer = await client.complete()
    assert (answer.text, answer.attempts) == ("a text", 2)


@pytest.mark.parametrize("reply", [chat(None), chat(["parts"]), completion("not a chat")])
async def test_a_200_that_is_no_chat_completion_is_tried_again(against: Against, reply: Reply) -> None:
    async with against(reply, chat(), api="chat") as client:
        assert (await client.complete()).attempts == 2


async def test_a_list_of_models_that_is_none_fails(against: Against) -> None:
    async with against(Reply({"data": None}), max_attempts=1) as client:
        with pytest.raises(CallFailedError, match="list of models"):
            await client.model.models()


@pytest.mark.parametrize("step", [Drop(), Hang()])
async def test_a_connection_that_breaks_or_stalls_is_tried_again(against: Against, step: Step) -> None:
    async with against(step, completion(), timeout_s=0.1) as client:
        answer = await client.complete()
    assert answer.attempts == 2
    assert len(client.slept) == 1


async def test_a_kept_connection_that_the_server_has_closed_costs_no_attempt(against: Against) -> None:
    async with against(completion(), Drop(), completion(), max_attempts=1) as client:
        await client.complete()
        answer = await client.complete()
    assert client.requests[0].connection == client.requests[1].connection
    assert answer.attempts == 2
    assert client.slept == []


async def test_nobody_listening_fails_the_call_after_all_attempts(closed_port: int) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    options = OpenAIOptions(base_url=f"http://127.0.0.1:{closed_port}", model="m", max_attempts=3)
    async with OpenAIModel(options, sleep=sleep) as model:
        with pytest.raises(CallFailedError, match=r"connection to .* failed"):
            await model.complete("the prompt", SAMPLING)
    assert len(slept) == 2


@pytest.fixture
async def closed_port(against: Against) -> int:
    async with against() as client:
        return int(client.server.url.rpartition(":")[2])


async def test_a_retry_is_logged_with_its_reason(against: Against) -> None:
    with capture_logs() as logs:
        async with against(refusal(429, "slow down", Retry_After="7"), completion()) as client:
            await client.complete()
    (entry,) = logs
    assert entry["event"] == "lm.retried"
    assert (entry["attempt"], entry["failing"], entry["wait_s"]) == (1, "rate_limited", 7)
    assert "slow down" in entry["reason"]


async def test_a_model_outside_its_block_says_so() -> None:
    model = OpenAIModel(OpenAIOptions(base_url="http://127.0.0.1:1", model="m"))
    with pytest.raises(RuntimeError, match="async with"):
        await model.complete("the prompt", SAMPLING)
