"""The requests that the endpoint sends, by its options."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.errors import ConfigurationError
from service.lm.port import Endpoint, FinishReason
from service.selfinstruct.model_input import ModelInput
from tests.adapters.conftest import KEY, SAMPLING, Against
from tests.adapters.scripted_server import Reply, chat, completion

pytestmark = pytest.mark.anyio


async def test_completions_send_the_prompt_as_it_is(against: Against) -> None:
    async with against(completion(), api="completions") as client:
        await client.attempt()
    assert client.requests[0].path == "/v1/completions"
    assert client.requests[0].body == {
        "model": "asked",
        "prompt": "the prompt",
        "max_tokens": 100,
        "temperature": 0.7,
        "top_p": 0.5,
        "presence_penalty": 2.0,
        "stop": ["\n\n", "16."],
    }


async def test_chat_sends_the_prompt_as_one_user_message(against: Against) -> None:
    async with against(chat(), api="chat") as client:
        await client.attempt()
    assert client.requests[0].path == "/v1/chat/completions"
    assert client.requests[0].body["messages"] == [{"role": "user", "content": "the prompt"}]


async def test_no_top_p_is_sent_for_greedy_decoding(against: Against) -> None:
    async with against(completion()) as client:
        await client.attempt(replace(SAMPLING, temperature=0.0, top_p=0.0))
    assert client.requests[0].body["temperature"] == 0
    assert "top_p" not in client.requests[0].body


async def test_a_seed_is_sent_when_given(against: Against) -> None:
    async with against(completion(), seed=0) as client:
        await client.attempt()
    assert client.requests[0].body["seed"] == 0


async def test_the_end_of_text_is_banned_if_its_token_id_is_known(against: Against) -> None:
    banning = replace(SAMPLING, ban_end_of_text=True)
    async with against(completion(), completion(), end_of_text_token=50256) as client:
        await client.attempt(banning)
        await client.attempt()
    assert client.requests[0].body["logit_bias"] == {"50256": -100}
    assert "logit_bias" not in client.requests[1].body
    async with against(completion()) as client:
        await client.attempt(banning)
    assert "logit_bias" not in client.requests[0].body


async def test_four_stops_are_sent_and_all_are_applied(against: Against) -> None:
    stops = ("one", "two", "three", "four", "five")
    async with against(completion("keep this five drop one", "length")) as client:
        answer = await client.attempt(replace(SAMPLING, stop=stops))
    assert client.requests[0].body["stop"] == ["one", "two", "three", "four"]
    assert (answer.text, answer.finish_reason) == ("keep this ", FinishReason.STOP)


async def test_omitted_parameters_are_never_sent(against: Against) -> None:
    async with against(completion("keep this\n\ndrop this"), omit=("stop", "presence_penalty")) as client:
        answer = await client.attempt()
    assert not {"stop", "presence_penalty"} & set(client.requests[0].body)
    assert answer.text == "keep this"


async def test_a_model_that_thinks_gets_tokens_for_it_on_top(against: Against) -> None:
    async with against(completion(), thinking_tokens=2000) as client:
        await client.attempt()
    assert client.requests[0].body["max_tokens"] == 2100


async def test_a_connection_is_used_again(against: Against) -> None:
    async with against(completion(), completion()) as client:
        await client.attempt()
        await client.attempt()
    assert client.requests[0].connection == client.requests[1].connection


async def test_one_attempt_makes_one_request(against: Against) -> None:
    async with against(completion()) as client:
        assert (await client.attempt()).cost.attempts == 1
    assert len(client.requests) == 1


async def test_the_models_of_a_server_are_listed(against: Against) -> None:
    async with against(Reply({"object": "list", "data": [{"id": "one"}, {"id": "two"}, {"name": "none"}]})) as client:
        assert await client.endpoint.models() == ["one", "two"]
    assert (client.requests[0].method, client.requests[0].path) == ("GET", "/v1/models")


def test_an_endpoint_is_named_by_its_address_and_model() -> None:
    endpoint: Endpoint = OpenAIEndpoint(OpenAIOptions("http://host:8000/v1", "org/model", SecretStr(KEY)))
    assert endpoint.name == "host:8000/org/model"


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"timeout_s": 0},
        {"thinking_tokens": -1},
        {"dialect": "klingon"},
        {"omit": ["prompt"]},
        {"omit": ["max_tokens"]},
    ],
)
def test_invalid_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        OpenAIOptions(**{"base_url": "http://host", "model": "m", **wrong})


async def test_an_endpoint_outside_async_with_raises_an_error() -> None:
    endpoint = OpenAIEndpoint(OpenAIOptions(base_url="http://127.0.0.1:1", model="m"))
    with pytest.raises(RuntimeError, match="async with"):
        await endpoint.attempt(ModelInput("the prompt"), SAMPLING)
