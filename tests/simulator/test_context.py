from dataclasses import replace

import pytest

from tests.simulator.client import PLAIN, PROMPT, connected

pytestmark = pytest.mark.anyio

PROMPT_TOKENS = len(PROMPT.split())


@pytest.mark.parametrize(("room", "max_tokens"), [(49, 50), (0, None), (-5, 1)])
async def test_prompt_and_answer_must_fit(room: int, max_tokens: int | None) -> None:
    most = PROMPT_TOKENS + room
    async with connected(replace(PLAIN, max_model_len=most)) as client:
        answer = await client.complete(PROMPT, max_tokens=max_tokens)
        entry = client.simulator.journal.entries[-1]
    assert (answer.status, answer.body["error"]["code"]) == (400, "context_length_exceeded")
    assert f"maximum context length is {most} tokens" in answer.body["error"]["message"]
    assert f"you requested {PROMPT_TOKENS + (max_tokens or 1)} tokens" in answer.body["error"]["message"]
    assert (entry.status, entry.charged_tokens, entry.max_tokens) == (400, 0, max_tokens)


async def test_an_answer_without_a_limit_ends_with_the_context() -> None:
    async with connected(replace(PLAIN, max_model_len=PROMPT_TOKENS + 3)) as client:
        open_ended = await client.chat(PROMPT)
        exact = await client.chat(PROMPT, max_tokens=3)
    assert open_ended.choice == exact.choice
    assert open_ended.choice["finish_reason"] == "length"
    assert open_ended.body["usage"]["completion_tokens"] == 3
