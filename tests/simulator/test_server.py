import io
from dataclasses import replace

import aiohttp
import anyio
import pytest

from service.simulator import serve
from service.simulator.text.generator import count_tokens, write_reply
from tests.simulator.client import HELD, PLAIN, PROMPT, Answer, Client, connected, until

pytestmark = pytest.mark.anyio


async def test_a_completion_depends_on_the_seed_and_the_prompt() -> None:
    async with connected(PLAIN) as client:
        answer = await client.complete(PROMPT, model="whatever", temperature=0.7)
        again = await client.complete(PROMPT)
    text = write_reply(PLAIN, PROMPT).text
    assert answer.status == 200
    assert answer.choice["text"] == text == again.choice["text"]
    assert answer.choice["finish_reason"] == "stop"
    assert answer.body["model"] == "seedstream-simulator"
    assert answer.body["object"] == "text_completion"
    tokens = count_tokens(PROMPT), count_tokens(text)
    assert answer.body["usage"] == {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": sum(tokens),
    }


async def test_a_chat_answers_the_last_message_of_the_user() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
    ]
    async with connected(PLAIN) as client:
        answer = await client.post("/chat/completions", {"messages": messages})
    assert answer.choice["message"] == {"role": "assistant", "content": write_reply(PLAIN, PROMPT).text.strip()}


async def test_stop_and_max_tokens_are_honoured() -> None:
    async with connected(PLAIN) as client:
        stopped = await client.complete(PROMPT, stop=["\n11."], max_tokens=500)
        cut = await client.chat(PROMPT, stop="\n11.", max_completion_tokens=5)
    assert "\n10. " in stopped.choice["text"]
    assert "\n11." not in stopped.choice["text"]
    assert stopped.choice["finish_reason"] == "stop"
    assert cut.choice["finish_reason"] == "length"
    assert cut.body["usage"]["completion_tokens"] == len(cut.choice["message"]["content"].split()) == 5


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "JSON object"),
        ({}, "prompt is missing"),
        ({"prompt": ["a", "b"]}, "one string"),
        ({"prompt": "a", "stream": True}, "stream"),
        ({"prompt": "a", "n": 2}, "one choice"),
        ({"prompt": "a", "max_tokens": 0}, "at least 1"),
        ({"prompt": "a", "max_tokens": "x"}, "expected int"),
        ({"prompt": "a", "stop": [1]}, "stop"),
    ],
)
async def test_the_error_for_a_bad_request_says_what_was_expected(body: object, says: str) -> None:
    async with connected(PLAIN) as client:
        answer = await client.post("/completions", body)
    assert answer.status == answer.body["error"]["code"] == 400
    assert answer.body["error"]["type"] == "invalid_request_error"
    assert says in answer.body["error"]["message"]


@pytest.mark.parametrize("messages", [None, [], [{"role": "system", "content": "x"}], [{"role": "user", "content": 1}]])
async def test_a_chat_without_a_user_message_is_refused(messages: object) -> None:
    async with connected(PLAIN) as client:
        assert (await client.post("/chat/completions", {"messages": messages})).status == 400


async def test_other_models_are_unknown_only_when_strict() -> None:
    async with connected(replace(PLAIN, strict_model=True)) as client:
        assert (await client.complete(PROMPT)).status == 200
        assert (await client.complete(PROMPT, model="seedstream-simulator")).status == 200
        unknown = await client.complete(PROMPT, model="gpt-3")
    assert (unknown.status, unknown.body["error"]["type"]) == (404, "not_found_error")


async def test_the_model_is_listed_and_the_server_is_healthy() -> None:
    async with connected(PLAIN) as client:
        models = await client.get("/v1/models")
        assert [model["id"] for model in models.body["data"]] == ["seedstream-simulator"]
        assert (await client.get("/health")).status == 200


async def test_a_loading_server_reports_it() -> None:
    async with connected(replace(PLAIN, startup_duration_s=3600)) as client:
        for answer in (await client.complete(PROMPT), await client.get("/health"), await client.get("/v1/models")):
            assert answer.status == 503
            assert answer.body["error"] | {"param": None} == {
                "code": 503,
                "message": "Loading model",
                "type": "unavailable_error",
                "param": None,
            }


async def test_loading_ends() -> None:
    async with connected(replace(PLAIN, startup_duration_s=0.05)) as client:
        with anyio.fail_after(5):
            while (await client.get("/health")).status != 200:
                pass
        assert (await client.complete(PROMPT)).status == 200


async def test_capacity_and_queue_are_bounded_and_freed_by_disconnects() -> None:
    options = replace(HELD, max_num_seqs=1, max_waiting_queue_length=1)
    async with connected(options) as client, anyio.create_task_group() as clients:
        capacity = client.simulator.capacity
        clients.start_soon(client.complete, PROMPT)
        await until(lambda: capacity.running == 1)
        clients.start_soon(client.complete, PROMPT)
        await until(lambda: capacity.waiting == 1)
        metrics = (await client.get("/metrics")).body
        refused = await client.complete(PROMPT)
        clients.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await until(lambda: (capacity.running, capacity.waiting) == (0, 0))
    assert 'vllm:num_requests_running{model_name="seedstream-simulator"} 1' in metrics
    assert 'vllm:num_requests_waiting{model_name="seedstream-simulator"} 1' in metrics
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    journal = client.simulator.journal
    assert [(entry.seq, entry.status) for entry in journal.entries] in (
        [(3, 429), (1, 499), (2, 499)],
        [(3, 429), (2, 499), (1, 499)],
    )


async def test_a_waiting_request_gets_the_slot_that_becomes_free() -> None:
    options = replace(PLAIN, time_to_first_token_s=0.01, max_num_seqs=1)
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await client.complete(PROMPT))

    async with connected(options) as client:
        async with anyio.create_task_group() as clients:
            for _ in range(5):
                clients.start_soon(ask)
        assert client.simulator.capacity.running == 0
    assert [answer.status for answer in answers] == [200] * 5


async def test_a_completion_takes_as_long_as_its_tokens() -> None:
    options = replace(PLAIN, time_to_first_token_s=0.02, inter_token_latency_s=0.01)
    async with connected(options) as client:
        started = anyio.current_time()
        await client.complete(PROMPT, max_tokens=4)
        assert anyio.current_time() - started >= 0.05


async def test_a_body_that_is_too_large_is_refused_and_recorded() -> None:
    async with connected(PLAIN) as client:
        url = f"{client.simulator.url}/completions"
        async with client.session.post(url, data=io.BytesIO(b" " * (4 * 1024**2 + 1))) as response:
            assert response.status == 413
        assert [entry.status for entry in client.simulator.journal.entries] == [413]


async def test_closing_the_server_cancels_requests_in_progress() -> None:
    async def ask() -> None:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await Client(session, simulator).complete(PROMPT)

    with anyio.fail_after(5):
        async with aiohttp.ClientSession() as session, anyio.create_task_group() as clients:
            async with serve(HELD) as simulator:
                clients.start_soon(ask)
                await until(lambda: simulator.capacity.running == 1)
            assert simulator.capacity.running == 0
