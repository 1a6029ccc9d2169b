import hashlib
from dataclasses import replace

import pytest

from service.simulator import SimulatorOptions
from tests.simulator import prompts
from tests.simulator.client import connected

pytestmark = pytest.mark.anyio

PROMPT = prompts.instructions()
PLAIN = SimulatorOptions(truncation_rate=0)


async def test_the_journal_holds_every_request() -> None:
    async with connected(replace(PLAIN, journal_size=3)) as client:
        await client.complete("Left out of the ring")
        answer = await client.complete(PROMPT)
        await client.post("/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, X_Return_Error="429")
        await client.post("/completions", {"nothing": 1})
        journal = (await client.get("/sim/requests")).body
        usage = answer.body["usage"]
        assert journal["requests"] == [
            {
                "seq": 2,
                "path": "/v1/completions",
                "status": 200,
                "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
                "prompt_tokens": usage["prompt_tokens"],
                "completion_tokens": usage["completion_tokens"],
                "failure": None,
            },
            {
                "seq": 3,
                "path": "/v1/chat/completions",
                "status": 429,
                "prompt_sha256": hashlib.sha256(b"Hi").hexdigest(),
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "failure": "rate_limit",
            },
            {
                "seq": 4,
                "path": "/v1/completions",
                "status": 400,
                "prompt_sha256": None,
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "failure": None,
            },
        ]
        assert journal["totals"]["requests"] == 4
        assert journal["totals"]["by_status"] == {"200": 2, "400": 1, "429": 1}
        assert journal["totals"]["prompt_tokens"] == usage["prompt_tokens"] + 5
        assert await client.delete("/sim/requests") == 204
        assert (await client.get("/sim/requests")).body["totals"]["requests"] == 0


async def test_metrics_count_tokens() -> None:
    async with connected(PLAIN) as client:
        usage = (await client.complete(PROMPT)).body["usage"]
        metrics = (await client.get("/metrics")).body
    labels = '{model_name="seedstream-simulator"}'
    assert f"vllm:prompt_tokens_total{labels} {usage['prompt_tokens']}\n" in metrics
    assert f"vllm:generation_tokens_total{labels} {usage['completion_tokens']}\n" in metrics
