from dataclasses import replace

import aiohttp
import anyio
import pytest

from service.simulator.error_responses import Refusal
from service.simulator.faults import FAILURES, Silence
from service.simulator.journal import Entry
from tests.simulator.client import PLAIN, PROMPT, Answer, Client, connected, until

pytestmark = pytest.mark.anyio

APIS = pytest.mark.parametrize("api", ["completions", "chat"])


def last(client: Client) -> Entry:
    return client.simulator.journal.entries[-1]


def text(answer: Answer) -> str | None:
    choice = answer.choice
    found: str | None = choice["message"]["content"] if "message" in choice else choice["text"]
    return found


def usage(entry: Entry) -> dict[str, int]:
    return {
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "total_tokens": entry.charged_tokens,
    }


@APIS
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("rate_limit", 429, 429),
        ("invalid_api_key", 401, "invalid_api_key"),
        ("invalid_request", 400, 400),
        ("context_length", 400, "context_length_exceeded"),
        ("server_error", 503, 503),
        ("model_not_found", 404, "model_not_found"),
        ("quota", 429, "insufficient_quota"),
        ("payment", 402, 402),
    ],
)
async def test_refusals_cost_nothing(api: str, name: str, status: int, code: object) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail(name, api)
        entry = last(client)
    assert (answer.status, answer.body["error"]["code"]) == (status, code)
    assert (entry.status, entry.failure, entry.charged_tokens, entry.told) == (status, name, 0, False)
    assert ("Retry-After" in answer.headers) == (name == "rate_limit")


async def test_an_internal_error_is_plain_text() -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("internal_error")
    assert (answer.status, answer.body) == (500, "Internal Server Error")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_context_error_has_a_clear_message() -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("context_length")
    assert "maximum context length is 4096 tokens" in answer.body["error"]["message"]


@APIS
async def test_a_disconnect_is_a_closed_connection(api: str) -> None:
    async with connected(PLAIN) as client:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.fail("disconnect", api)
        entry = last(client)
        assert (await client.complete(PROMPT)).status == 200
    assert (entry.status, entry.failure, entry.charged_tokens) == (444, "disconnect", 0)


async def test_a_timeout_is_silent_until_the_client_leaves() -> None:
    async with connected(PLAIN) as client:
        journal = client.simulator.journal
        async with anyio.create_task_group() as clients:
            clients.start_soon(client.fail, "timeout")
            await until(lambda: journal.totals.most_open == 1)
            clients.cancel_scope.cancel()
        await until(lambda: len(journal.entries) == 1)
        entry = last(client)
    assert (entry.status, entry.failure, entry.charged_tokens) == (499, "timeout", 0)


async def test_a_timeout_ends_at_last() -> None:
    async with connected(replace(PLAIN, timeout_duration_s=0.01)) as client:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.fail("timeout")
        assert last(client).status == 444


@APIS
async def test_a_cut_body_is_shorter_than_announced(api: str) -> None:
    async with connected(PLAIN) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.fail("cut", api)
        entry = last(client)
        assert (await client.complete(PROMPT)).status == 200
    assert (entry.status, entry.told, entry.finish_reason) == (200, False, None)
    assert entry.completion_tokens > 0


@APIS
async def test_a_malformed_body_is_complete_but_no_json(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("malformed", api)
        entry = last(client)
    assert isinstance(answer.body, str)
    assert answer.body.startswith('{"id":')
    assert answer.headers["Content-Type"] == "application/json"
    assert (entry.told, entry.finish_reason, entry.completion_tokens > 0) == (False, None, True)


@APIS
async def test_choices_may_be_empty(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("empty_choices", api)
        entry = last(client)
    assert answer.body["choices"] == []
    assert answer.body["usage"] == usage(entry)
    assert (entry.told, entry.finish_reason) == (True, None)


@APIS
async def test_an_error_may_come_with_200(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("error_in_200", api)
        entry = last(client)
    assert answer.status == 200
    assert answer.body["error"]["code"] == 502
    assert "choices" not in answer.body
    assert answer.body["usage"] == usage(entry)
    assert entry.told


@APIS
async def test_an_abort_is_a_reason_to_finish(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("abort", api)
        entry = last(client)
    assert answer.choice["finish_reason"] == entry.finish_reason == "abort"
    assert answer.body["usage"] == usage(entry)


@APIS
async def test_content_may_be_null(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("null_content", api)
        entry = last(client)
    assert text(answer) is None
    assert answer.choice["finish_reason"] == "stop"
    assert answer.body["usage"] == usage(entry)


@APIS
async def test_usage_may_be_missing_from_a_good_completion(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("no_usage", api)
        entry = last(client)
        good = await client.post(entry.path.removeprefix("/v1"), _asked(api))
    assert "usage" not in answer.body
    assert answer.choice == good.choice
    assert good.body["usage"] == usage(entry)
    assert not entry.told


@APIS
async def test_all_tokens_may_go_into_reasoning(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("reasoning_only", api, max_tokens=20)
        entry = last(client)
    assert text(answer) is None
    assert answer.choice.get("message", answer.choice)["reasoning"]
    assert answer.choice["finish_reason"] == "length"
    assert answer.body["usage"] == usage(entry) | {"completion_tokens_details": {"reasoning_tokens": 20}}
    assert (entry.completion_tokens, entry.reasoning_tokens, entry.told) == (20, 20, True)


@APIS
async def test_a_completion_may_end_half_way(api: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.fail("length", api)
        entry = last(client)
        good = await client.post(entry.path.removeprefix("/v1"), _asked(api))
    half, whole = text(answer), text(good)
    assert half
    assert whole
    assert whole.startswith(half)
    assert answer.choice["finish_reason"] == entry.finish_reason == "length"
    assert answer.body["usage"] == usage(entry)
    assert len(half.split()) == entry.completion_tokens == good.body["usage"]["completion_tokens"] // 2


async def test_failures_that_are_not_charged_take_no_slot() -> None:
    free = [name for name, failure in FAILURES.items() if isinstance(failure, Refusal | Silence) and name != "timeout"]
    async with connected(PLAIN) as client:
        for name in free:
            try:
                await client.fail(name)
            except aiohttp.ServerDisconnectedError:
                assert name == "disconnect"
        assert client.simulator.journal.totals.most_at_once == 0
        assert client.simulator.charged.prompt_tokens == 0


def _asked(api: str) -> dict[str, object]:
    return {"prompt": PROMPT} if api == "completions" else {"messages": [{"role": "user", "content": PROMPT}]}
