"""What is asked of a server, and what is made of a good answer."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from service.adapters.openai import OpenAIModel, OpenAIOptions
from service.errors import ConfigurationError
from service.lm import FinishReason, Usage
from tests.adapters.conftest import KEY, SAMPLING, Against
from tests.adapters.scripted_server import Reply, chat, completion

pytestmark = pytest.mark.anyio


async def test_completions_send_the_prompt_as_it_is(against: Against) -> None:
    async with against(completion(), api="completions") as client:
        await client.complete()
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
        await client.complete()
    assert client.requests[0].path == "/v1/chat/completions"
    assert client.requests[0].body["messages"] == [{"role": "user", "content": "the prompt"}]


async def test_the_key_and_the_extra_headers_go_out_with_every_call(against: Against) -> None:
    async with against(completion(), extra_headers={"api-key": "azure"}) as client:
        await client.complete()
    assert client.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert client.requests[0].headers["api-key"] == "azure"
    assert client.requests[0].headers["Content-Type"] == "application/json"


async def test_without_a_key_no_authorization_is_sent(against: Against) -> None:
    async with against(completion(), api_key=None) as client:
        await client.complete()
    assert "Authorization" not in client.requests[0].headers


async def test_no_top_p_goes_with_greedy_decoding(against: Against) -> None:
    async with against(completion()) as client:
        await client.complete(replace(SAMPLING, temperature=0.0, top_p=0.0))
    assert client.requests[0].body["temperature"] == 0
    assert "top_p" not in client.requests[0].body


async def test_a_seed_is_sent_when_given(against: Against) -> None:
    async with against(completion(), seed=0) as client:
        await client.complete()
    assert client.requests[0].body["seed"] == 0


async def test_the_end_of_text_is_banned_where_its_number_is_known(against: Against) -> None:
    banning = replace(SAMPLING, ban_end_of_text=True)
    async with against(completion(), completion(), end_of_text_token=50256) as client:
        await client.complete(banning)
        await client.complete()
    assert client.requests[0].body["logit_bias"] == {"50256": -100}
    assert "logit_bias" not in client.requests[1].body
    async with against(completion()) as client:
        await client.complete(banning)
    assert "logit_bias" not in client.requests[0].body


async def test_four_stops_are_sent_and_all_are_applied(against: Against) -> None:
    stops = ("one", "two", "three", "four", "five")
    async with against(completion("keep this five drop one", "length")) as client:
        answer = await client.complete(replace(SAMPLING, stop=stops))
    assert client.requests[0].body["stop"] == ["one", "two", "three", "four"]
    assert (answer.text, answer.finish_reason) == ("keep this ", FinishReason.STOP)


async def test_a_connection_is_used_again(against: Against) -> None:
    async with against(completion(), completion()) as client:
        await client.complete()
        await client.complete()
    assert client.requests[0].connection == client.requests[1].connection


async def test_the_completion_names_the_model_that_served_it(against: Against) -> None:
    unnamed = Reply({"choices": [{"text": "a", "finish_reason": "stop"}]})
    async with against(completion(), unnamed) as client:
        assert (await client.complete()).model == "served"
        assert (await client.complete()).model == "asked"


async def test_one_call_is_one_attempt(against: Against) -> None:
    async with against(completion()) as client:
        assert (await client.complete()).attempts == 1


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("eos_token", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
    ],
)
async def test_a_finish_reason_is_understood(against: Against, reason: str, meaning: FinishReason) -> None:
    async with against(completion("text", reason)) as client:
        assert (await client.complete()).finish_reason == meaning


@pytest.mark.parametrize(
    ("usage", "meaning"),
    [
        (None, None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": 5, "completion_tokens": None}, None),
        ({"prompt_tokens": 5, "completion_tokens": 7}, Usage(5, 7)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(5, 7, cached_tokens=3, reasoning_tokens=2),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": None},
            Usage(5, 7),
        ),
    ],
)
async def test_usage_is_what_the_server_says(against: Against, usage: object, meaning: Usage | None) -> None:
    async with against(completion(usage=usage)) as client:
        assert (await client.complete()).usage == meaning


@pytest.mark.parametrize(
    ("content", "text", "finish"),
    [
        ("<think>\nwell\n\n16.</think>\n\n9. a task", "9. a task", FinishReason.STOP),
        ("\n<think></think>9. a task", "9. a task", FinishReason.STOP),
        ("9. say <think> and </think>", "9. say <think> and </think>", FinishReason.STOP),
        ("<think>well, 9. a task", "", FinishReason.LENGTH),
    ],
)
async def test_thinking_is_no_part_of_the_text(against: Against, content: str, text: str, finish: FinishReason) -> None:
    async with against(chat(content), api="chat") as client:
        answer = await client.complete()
    assert (answer.text, answer.finish_reason) == (text, finish)


async def test_reasoning_in_a_field_of_its_own_is_never_the_text(against: Against) -> None:
    async with against(chat(None, "length", reasoning="9. a task"), api="chat") as client:
        answer = await client.complete()
    assert (answer.text, answer.finish_reason) == ("", FinishReason.LENGTH)


async def test_the_models_of_a_server_are_listed(against: Against) -> None:
    async with against(Reply({"object": "list", "data": [{"id": "one"}, {"id": "two"}]})) as client:
        assert await client.model.models() == ["one", "two"]
    assert (client.requests[0].method, client.requests[0].path) == ("GET", "/v1/models")


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/", "http://host:8000/v1"),
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://host/api/v1/", "https://host/api/v1"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai"),
        ("https://host/proxy", "https://host/proxy/v1"),
    ],
)
def test_the_base_url_comes_with_or_without_its_version(base_url: str, root: str) -> None:
    assert OpenAIOptions(base_url=base_url, model="m").root == root


@pytest.mark.parametrize(
    "base_url",
    ["", "host:8000", "ftp://host", "http://", "http://host:port", "http://host/v1?key=1", "http://host/v1#a"],
)
def test_an_address_that_cannot_work_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base URL"):
        OpenAIOptions(base_url=base_url, model="m")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="password") as refused:
        OpenAIOptions(base_url="https://user:hunter2@host/v1", model="m")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("wrong", [{"model": ""}, {"max_attempts": 0}, {"timeout_s": 0}])
def test_options_without_a_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        OpenAIOptions(**{"base_url": "http://host", "model": "m", **wrong})


def test_a_key_with_a_line_break_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="line break") as refused:
        OpenAIOptions(base_url="http://host", model="m", api_key=SecretStr(f"{KEY}\n"))
    assert KEY not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    options = OpenAIOptions(
        base_url="http://host", model="m", api_key=SecretStr(KEY), extra_headers={"api-key": "azure-secret"}
    )
    shown = repr(OpenAIModel(options))
    assert KEY not in shown
    assert "azure-secret" not in shown
