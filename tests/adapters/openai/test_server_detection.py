"""The detection of a server's kind. No answer of a server can break it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from service.adapters.openai import Dialect, OpenAIEndpoint, OpenAIOptions
from service.adapters.openai.urls import dialect_of
from tests.adapters.conftest import KEY
from tests.adapters.routed_server import routed_server
from tests.adapters.scripted_server import Reply

pytestmark = pytest.mark.anyio


def models(*entries: Mapping[str, object], **headers: str) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"object": "list", "data": list(entries)}, headers=names)


@asynccontextmanager
async def endpoint_at(routes: Mapping[str, Reply], **options: Any) -> AsyncIterator[OpenAIEndpoint]:
    chosen: dict[str, Any] = {"model": "m", "api_key": SecretStr(KEY), **options}
    async with (
        routed_server(routes) as url,
        OpenAIEndpoint(OpenAIOptions(url, **chosen)) as endpoint,
    ):
        yield endpoint


@pytest.mark.parametrize(
    ("routes", "dialect", "how", "context"),
    [
        (
            {"/v1/models": models({"id": "m", "owned_by": "vllm", "max_model_len": 4096})},
            Dialect.VLLM,
            "its models are owned by vllm",
            4096,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "sglang", "max_model_len": 8192})},
            Dialect.SGLANG,
            "its models are owned by sglang",
            8192,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 512, "n_ctx_train": 2048}})},
            Dialect.LLAMACPP,
            "its models are owned by llamacpp",
            512,
        ),
        (
            {"/v1/models": models({"id": "m"}, Server="llama.cpp")},
            Dialect.LLAMACPP,
            "its header server: llama.cpp",
            None,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "library"})},
            Dialect.OLLAMA,
            "its models are owned by library",
            None,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "someone"}), "/api/version": Reply({"version": "0.12.0"})},
            Dialect.OLLAMA,
            "it answers at /api/version",
            None,
        ),
        (
            {
                "/v1/models": models({"id": "m", "owned_by": "m"}),
                "/info": Reply({"model_id": "m", "max_total_tokens": 2048, "docker_label": "sha"}),
            },
            Dialect.TGI,
            "it answers at /info",
            2048,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "openai"}, X_LiteLLM_Version="1.80")},
            Dialect.LITELLM,
            "its header x-litellm-version",
            None,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "vllm"}, x_litellm_call_id="1")},
            Dialect.LITELLM,
            "its header x-litellm-call-id",
            None,
        ),
        (
            {"/v1/models": models({"id": "m", "owned_by": "system"}, openai_version="2020-10-01")},
            Dialect.OPENAI,
            "its header openai-version",
            None,
        ),
        (
            {"/v1/models": Reply({"error": "no"}, 401, {"x-litellm-version": "1.80"})},
            Dialect.LITELLM,
            "its header x-litellm-version",
            None,
        ),
        ({"/v1/models": models({"id": "m"})}, Dialect.GENERIC, "the server does not identify itself", None),
        ({}, Dialect.GENERIC, "the server does not identify itself", None),
    ],
)
async def test_a_server_is_recognised_by_its_answers(
    routes: Mapping[str, Reply], dialect: Dialect, how: str, context: int | None
) -> None:
    async with endpoint_at(routes) as endpoint:
        found = await endpoint.detect()
    assert (found.dialect, found.how, found.context_tokens) == (dialect, how, context)
    assert endpoint.describe() == found


async def test_a_dialect_set_by_the_user_is_kept() -> None:
    async with endpoint_at({"/v1/models": models({"id": "m", "owned_by": "vllm"})}, dialect="sglang") as endpoint:
        found = await endpoint.detect()
    assert (found.dialect, found.how, found.models) == (Dialect.SGLANG, "it was told", ("m",))


async def test_the_context_is_read_from_tgi_when_the_user_names_it() -> None:
    routes = {
        "/v1/models": models({"id": "m"}),
        "/info": Reply({"model_id": "m", "max_total_tokens": 2048}),
    }
    async with endpoint_at(routes, dialect="tgi") as endpoint:
        found = await endpoint.detect()
    assert (found.how, found.context_tokens) == ("it was told", 2048)


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("https://api.openai.com/v1", Dialect.OPENAI),
        ("https://API.OpenAI.com", Dialect.OPENAI),
        ("https://res.openai.azure.com", Dialect.AZURE),
        ("https://res.services.ai.azure.com/models", Dialect.AZURE),
        ("https://res.cognitiveservices.azure.com", Dialect.AZURE),
        ("https://openrouter.ai/api/v1", Dialect.OPENROUTER),
        ("https://api.openai.com.example", None),
        ("https://notopenrouter.ai", None),
        ("http://localhost:11434", None),
    ],
)
def test_some_servers_are_recognised_by_their_address(url: str, dialect: Dialect | None) -> None:
    assert dialect_of(url) is dialect


async def test_an_unreachable_server_is_a_generic_one(closed_port: int) -> None:
    async with OpenAIEndpoint(OpenAIOptions(f"http://127.0.0.1:{closed_port}", "m")) as endpoint:
        found = await endpoint.detect()
    assert (found.dialect, found.how, found.models) == (Dialect.GENERIC, "it does not answer", ())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": 7}',
        b'{"data": [7, {}, {"id": 7}]}',
        b'{"data": [{"id": "m", "owned_by": 7, "max_model_len": "x", "meta": 3}]}',
        b'{"data": [{"id": "m", "max_model_len": -1, "context_length": true}]}',
    ],
)
async def test_a_server_that_answers_nonsense_is_a_generic_one(body: bytes) -> None:
    nonsense = Reply(body)
    routes = {"/v1/models": nonsense, "/info": nonsense, "/api/version": nonsense}
    async with endpoint_at(routes) as endpoint:
        found = await endpoint.detect()
    assert (found.dialect, found.context_tokens) == (Dialect.GENERIC, None)


async def test_calls_after_detection_use_the_detected_profile() -> None:
    async with endpoint_at({"/v1/models": models({"id": "m", "owned_by": "vllm"})}) as endpoint:
        assert endpoint.describe().stops == 4
        await endpoint.detect()
        assert endpoint.describe().stops > 4


@pytest.mark.parametrize(
    ("routes", "options", "words"),
    [
        ({"/v1/models": models({"id": "m", "owned_by": "library"})}, {"api": "completions"}, "chat template"),
        ({"/v1/models": models({"id": "m", "owned_by": "library"})}, {}, "OLLAMA_CONTEXT_LENGTH"),
        ({}, {"dialect": "tgi"}, "presence_penalty"),
        ({}, {}, "may not count its tokens"),
        ({"/v1/models": models({"id": "other", "owned_by": "vllm"})}, {}, "m is not in the server's list"),
    ],
)
async def test_the_user_is_warned(routes: Mapping[str, Reply], options: dict[str, Any], words: str) -> None:
    async with endpoint_at(routes, **options) as endpoint:
        found = await endpoint.detect()
    assert any(words in warning for warning in found.warnings)
    assert any(line.startswith("beware: ") and words in line for line in found.lines)


async def test_a_description_reads_well() -> None:
    entries = [{"id": name, "owned_by": "vllm", "max_model_len": 4096} for name in "mabcdefg"]
    async with endpoint_at({"/v1/models": models(*entries)}) as endpoint:
        found = await endpoint.detect()
    root, length = found.url, "max_tokens (or what it is called instead)"
    assert found.lines == (
        f"{root} offers m, a, b, c, d and 3 more",
        "dialect vllm (its models are owned by vllm); a context of 4,096 tokens",
        f"asked for {length} and with at most 64 stop strings; for JSON by a strict JSON schema",
    )
