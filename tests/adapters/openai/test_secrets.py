"""API keys are sent, replaced, and never shown."""

import traceback

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketStream
from pydantic import SecretStr
from structlog.testing import capture_logs

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.errors import ConfigurationError
from service.lm.errors import AttemptFailedError, EndpointRefusedError
from service.selfinstruct.model_input import ModelInput
from tests.adapters.conftest import KEY, SAMPLING, Against
from tests.adapters.scripted_server import Reply, chat, completion, refusal

pytestmark = pytest.mark.anyio

OTHER = "sk-another-secret"


async def test_the_key_and_the_extra_headers_go_out_with_every_call(against: Against) -> None:
    async with against(completion(), extra_headers={"X-Team": SecretStr("ours")}) as client:
        await client.attempt()
    assert client.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert client.requests[0].headers["X-Team"] == "ours"
    assert client.requests[0].headers["Content-Type"] == "application/json"


async def test_without_a_key_no_authorization_is_sent(against: Against) -> None:
    async with against(completion(), api_key=None) as client:
        await client.attempt()
    assert "Authorization" not in client.requests[0].headers


async def test_azure_gets_the_key_in_its_own_header(against: Against) -> None:
    async with against(chat(), api="chat", dialect="azure") as client:
        await client.attempt()
    assert client.requests[0].headers["api-key"] == KEY
    assert "Authorization" not in client.requests[0].headers


async def test_a_key_is_replaced_while_the_endpoint_is_in_use(against: Against) -> None:
    async with against(completion(), completion(), completion()) as client:
        await client.attempt()
        client.endpoint.use_key(SecretStr(OTHER))
        await client.attempt()
        client.endpoint.use_key(None)
        await client.attempt()
    sent = [request.headers.get("Authorization") for request in client.requests]
    assert sent == [f"Bearer {KEY}", f"Bearer {OTHER}", None]


async def test_no_key_that_a_server_echoes_is_repeated_in_the_error(against: Against) -> None:
    words = f"Incorrect API key provided: {KEY} {OTHER} team-secret"
    async with against(refusal(401, words), extra_headers={"X-Team": SecretStr("team-secret")}) as client:
        client.endpoint.use_key(SecretStr(OTHER))
        with pytest.raises(
            EndpointRefusedError, match=r"provided: \*\*\* \*\*\* \*\*\*\"\)\. Check the API key"
        ) as failed:
            await client.attempt()
    assert KEY not in str(failed.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", "sk-\x00"])
def test_a_key_with_a_line_break_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError, match="line break") as refused:
        OpenAIOptions("http://host", "m", api_key=SecretStr(key))
    assert KEY not in str(refused.value)
    endpoint = OpenAIEndpoint(OpenAIOptions("http://host", "m"))
    with pytest.raises(ConfigurationError, match="line break"):
        endpoint.use_key(SecretStr(key))


def test_secrets_are_not_shown() -> None:
    options = OpenAIOptions("http://host", "m", SecretStr(KEY), extra_headers={"api-key": SecretStr("azure-secret")})
    shown = f"{OpenAIEndpoint(options)!r} {options!r} {OpenAIEndpoint(options).describe()!r}"
    assert KEY not in shown
    assert "azure-secret" not in shown


async def test_no_log_and_no_traceback_contains_the_key() -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(f"HTTP/1.1 {KEY} {KEY}\r\n\r\n".encode())

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, answer)
        options = OpenAIOptions(
            f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}", "m", SecretStr(KEY)
        )
        with capture_logs() as logs:
            async with OpenAIEndpoint(options) as endpoint:
                with pytest.raises(AttemptFailedError) as failed:
                    await endpoint.attempt(ModelInput("the prompt"), SAMPLING)
                await endpoint.detect()
        tasks.cancel_scope.cancel()
    assert KEY not in "".join(traceback.format_exception(failed.value))
    assert (failed.value.__cause__, failed.value.__context__) == (None, None)
    assert KEY not in repr(logs)


async def test_a_redirect_is_not_followed_with_the_key(against: Against) -> None:
    async with against(Reply({}, 308, {"Location": "/elsewhere"}), completion()) as client:
        with pytest.raises(EndpointRefusedError, match="Redirects are not followed"):
            await client.attempt()
    assert len(client.requests) == 1
