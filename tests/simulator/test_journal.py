import hashlib
from dataclasses import replace

import anyio
import pytest

from service.simulator.faults import FAILURES, Spoiled
from service.simulator.state import digest
from tests.simulator.client import HELD, PLAIN, PROMPT, connected, until

pytestmark = pytest.mark.anyio


async def test_the_journal_holds_every_request() -> None:
    async with connected(replace(PLAIN, journal_size=3)) as client:
        await client.complete("Left out of the ring")
        answer = await client.complete(PROMPT, max_tokens=700, Authorization="Bearer secret")
        await client.chat("Hi", X_Return_Error="429")
        await client.post("/completions", {"nothing": 1})
        journal = (await client.get("/sim/requests")).body
        usage = answer.body["usage"]
        assert all(entry.pop("duration_ms") > 0 for entry in journal["requests"])
        times = [entry.pop("at_ms") for entry in journal["requests"]]
        assert 0 < times[0] < times[1] < times[2]
        nothing = {
            "key": None,
            "max_tokens": None,
            "finish_reason": None,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "reasoning_tokens": 0,
            "told": False,
            "failure": None,
        }
        assert journal["requests"] == [
            nothing
            | {
                "seq": 2,
                "path": "/v1/completions",
                "status": 200,
                "key": digest("secret"),
                "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
                "max_tokens": 700,
                "finish_reason": "stop",
                "prompt_tokens": usage["prompt_tokens"],
                "completion_tokens": usage["completion_tokens"],
                "told": True,
            },
            nothing
            | {
                "seq": 3,
                "path": "/v1/chat/completions",
                "status": 429,
                "prompt_sha256": hashlib.sha256(b"Hi").hexdigest(),
                "failure": "rate_limit",
            },
            nothing | {"seq": 4, "path": "/v1/completions", "status": 400, "prompt_sha256": None},
        ]
        assert journal["totals"]["requests"] == 4
        assert journal["totals"]["by_status"] == {"200": 2, "400": 1, "429": 1}
        assert journal["totals"]["prompt_tokens"] == usage["prompt_tokens"] + 5
        assert await client.delete("/sim/requests") == 204
        assert (await client.get("/sim/requests")).body["totals"]["requests"] == 0


async def test_totals_separate_reported_and_unreported_usage() -> None:
    told = [name for name, failure in FAILURES.items() if isinstance(failure, Spoiled) and failure.told]
    async with connected(PLAIN) as client:
        answers = [(await client.fail(name)).body for name in told]
        await client.fail("no_usage")
        await client.fail("malformed")
        await client.fail("server_error")
        totals = client.simulator.journal.totals
        untold = list(client.simulator.journal.entries)[-3:-1]
    assert totals.prompt_tokens == sum(body["usage"]["prompt_tokens"] for body in answers)
    assert totals.completion_tokens == sum(body["usage"]["completion_tokens"] for body in answers)
    assert 0 < totals.reasoning_tokens < totals.completion_tokens
    assert totals.untold_answers == 2
    assert totals.untold_prompt_tokens == sum(entry.prompt_tokens for entry in untold) > 0
    assert totals.untold_completion_tokens == sum(entry.completion_tokens for entry in untold) > 0
    assert totals.untold_reasoning_tokens == 0
    assert totals.by_failure == dict.fromkeys([*told, "no_usage", "malformed", "server_error"], 1)


async def test_the_journal_records_the_largest_number_of_open_requests() -> None:
    options = replace(HELD, max_num_seqs=2)
    async with connected(options) as client:
        journal, capacity = client.simulator.journal, client.simulator.capacity
        async with anyio.create_task_group() as clients:
            for _ in range(3):
                clients.start_soon(client.complete, PROMPT)
            await until(lambda: (capacity.running, capacity.waiting) == (2, 1))
            assert (journal.totals.most_at_once, journal.totals.most_open) == (2, 3)
            clients.cancel_scope.cancel()
        await until(lambda: len(journal.entries) == 3)
        journal.reset()
        await client.fail("rate_limit")
        assert (journal.totals.most_at_once, journal.totals.most_open) == (0, 1)


async def test_a_client_that_leaves_is_charged_nothing() -> None:
    async with connected(HELD) as client:
        async with anyio.create_task_group() as clients:
            clients.start_soon(client.complete, PROMPT)
            await until(lambda: client.simulator.capacity.running == 1)
            clients.cancel_scope.cancel()
        await until(lambda: len(client.simulator.journal.entries) == 1)
        entry = client.simulator.journal.entries[0]
    assert (entry.status, entry.charged_tokens, entry.told) == (499, 0, False)


async def test_metrics_count_tokens() -> None:
    async with connected(PLAIN) as client:
        usage = (await client.complete(PROMPT)).body["usage"]
        metrics = (await client.get("/metrics")).body
    labels = '{model_name="seedstream-simulator"}'
    assert f"vllm:prompt_tokens_total{labels} {usage['prompt_tokens']}\n" in metrics
    assert f"vllm:generation_tokens_total{labels} {usage['completion_tokens']}\n" in metrics
