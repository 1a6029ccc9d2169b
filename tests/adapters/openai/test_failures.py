"""Answers that are missing, late or broken."""

import gzip

import anyio
import pytest
from anyio.abc import SocketStream
from yarl import URL

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.adapters.openai.transport import Question, Transport
from service.lm.errors import AttemptFailedError, CallFailedError, EndpointRefusedError, Failing, Refused
from service.selfinstruct.model_input import ModelInput
from tests.adapters.conftest import SAMPLING, Against
from tests.adapters.scripted_server import Drop, Hang, Reply, Step, completion, refusal, scripted_server

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("step", "failing"), [(Drop(), Failing.CONNECTION), (Hang(), Failing.TIMEOUT)])
async def test_a_connection_that_breaks_or_stalls_is_a_failed_attempt(
    against: Against, step: Step, failing: Failing
) -> None:
    async with against(step, timeout_s=0.5) as client:
        with pytest.raises(AttemptFailedError) as failed:
            await client.attempt()
    assert failed.value.failing is failing
    assert len(client.requests) == 1


async def test_nobody_listening_is_a_failed_attempt(closed_port: int) -> None:
    options = OpenAIOptions(base_url=f"http://127.0.0.1:{closed_port}", model="m")
    async with OpenAIEndpoint(options) as endpoint:
        with pytest.raises(AttemptFailedError, match=r"connection to .* failed") as failed:
            await endpoint.attempt(ModelInput("the prompt"), SAMPLING)
    assert failed.value.failing is Failing.CONNECTION
    assert "ssl:" not in str(failed.value)


async def test_a_closed_kept_alive_connection_costs_no_attempt(against: Against) -> None:
    async with against(completion(), Drop(), completion()) as client:
        await client.attempt()
        assert (await client.attempt()).text == "a text"
    assert client.requests[0].connection == client.requests[1].connection
    assert len(client.requests) == 3


async def test_a_connection_is_replaced_once_only(against: Against) -> None:
    async with against(completion(), Drop(), Drop()) as client:
        await client.attempt()
        with pytest.raises(AttemptFailedError) as failed:
            await client.attempt()
    assert failed.value.failing is Failing.CONNECTION
    assert len(client.requests) == 3


async def test_a_new_connection_that_closes_is_not_replaced(against: Against) -> None:
    async with against(Drop(), completion()) as client:
        with pytest.raises(AttemptFailedError):
            await client.attempt()
    assert len(client.requests) == 1


async def test_a_call_that_may_have_reached_the_server_is_not_repeated() -> None:
    async with (
        scripted_server(completion(), Drop(), completion()) as server,
        Transport(server.url, stale_s=0.0) as transport,
    ):
        question = Question(URL(f"{server.url}/v1/completions"), {}, (), b"{}")
        await transport.ask(question, timeout_s=5.0)
        with pytest.raises(AttemptFailedError):
            await transport.ask(question, timeout_s=5.0)
    assert len(server.requests) == 2


async def test_a_call_whose_answer_breaks_off_costs_an_attempt() -> None:
    asked = 0

    async def serve(stream: SocketStream) -> None:
        nonlocal asked
        whole = b'{"choices": [{"text": "a", "finish_reason": "stop"}]}'
        async with stream:
            for body in (whole, whole[:20]):
                await stream.receive()
                asked += 1
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n"
                await stream.send(head.encode() + body)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        options = OpenAIOptions(f"http://127.0.0.1:{port}", "m", api="completions")
        async with OpenAIEndpoint(options) as endpoint:
            assert (await endpoint.attempt(ModelInput("the prompt"), SAMPLING)).text == "a"
            with pytest.raises(AttemptFailedError) as failed:
                await endpoint.attempt(ModelInput("the prompt"), SAMPLING)
        tasks.cancel_scope.cancel()
    assert failed.value.failing is Failing.CONNECTION
    assert asked == 2


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        (refusal(401), Refused.CREDENTIALS),
        (refusal(402), Refused.QUOTA),
        (refusal(404), Refused.ADDRESS),
        (Reply({}, 307, {"Location": "/elsewhere"}), Refused.ADDRESS),
    ],
)
async def test_a_refusal_of_every_call_says_why_and_what_to_do(
    against: Against, reply: Reply, refused: Refused
) -> None:
    async with against(reply) as client:
        with pytest.raises(EndpointRefusedError, match=r"/v1/completions answered \d+ \(\".*\"\)\. \w+") as raised:
            await client.attempt()
    assert raised.value.refused is refused
    assert len(client.requests) == 1


async def test_a_call_that_is_not_accepted_fails_for_good(against: Against) -> None:
    async with against(refusal(400, "messages: too many of them")) as client:
        with pytest.raises(CallFailedError, match="messages: too many of them") as failed:
            await client.attempt()
    assert failed.value.failing is Failing.BAD_REQUEST
    assert len(client.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"Retry-After": "0", "x-ratelimit-reset-requests": "6m0s"}, 0),
    ],
)
async def test_a_requested_wait_is_passed_on(against: Against, headers: dict[str, str], seconds: float | None) -> None:
    async with against(Reply({}, 429, headers)) as client:
        with pytest.raises(AttemptFailedError) as failed:
            await client.attempt()
    assert (failed.value.failing, failed.value.after_s) == (Failing.RATE_LIMITED, seconds)


async def test_rate_limit_headers_of_another_failure_request_no_wait(against: Against) -> None:
    async with against(Reply({}, 500, {"x-ratelimit-reset-requests": "6m0s"})) as client:
        with pytest.raises(AttemptFailedError) as failed:
            await client.attempt()
    assert failed.value.after_s is None


@pytest.mark.parametrize("compressed", [False, True])
async def test_an_overlong_answer_is_not_read_to_its_end(against: Against, *, compressed: bool) -> None:
    body = b" " * (8 * 1024 * 1024 + 1)
    reply = Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if compressed else Reply(body)
    async with against(reply) as client:
        with pytest.raises(CallFailedError, match="longer than") as failed:
            await client.attempt()
    assert failed.value.failing is Failing.INVALID_BODY


async def test_a_long_error_is_judged_by_its_beginning(against: Against) -> None:
    async with against(Reply(b"<html>" + b"x" * 9_000_000, 401)) as client:
        with pytest.raises(EndpointRefusedError) as refused:
            await client.attempt()
    assert len(str(refused.value)) < 600


async def test_an_error_message_is_shown_bounded_and_on_one_line(against: Against) -> None:
    async with against(refusal(401, "one\r\n\x1b[31mtwo\u202e" + "x" * 5000)) as client:
        with pytest.raises(EndpointRefusedError, match=r"one \[31mtwo x+…") as refused:
            await client.attempt()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"data": None}), AttemptFailedError),
        (Reply([]), AttemptFailedError),
        (refusal(503), AttemptFailedError),
        (refusal(401), EndpointRefusedError),
    ],
)
async def test_an_invalid_list_of_models_fails(against: Against, reply: Reply, error: type[Exception]) -> None:
    async with against(reply) as client:
        with pytest.raises(error):
            await client.endpoint.models()
