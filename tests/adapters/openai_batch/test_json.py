"""Questions in batches that ask for JSON: the content of their lines, and the reading of their answers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import anyio
import orjson
import pytest

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.adapters.openai_batch import BatchEndpoint
from service.lm.errors import AttemptFailedError, CallFailedError
from service.lm.port import Completion
from service.selfinstruct.model_input import (
    CLASSIFICATION,
    CLASSIFICATION_INSTANCES,
    GENERATION_INSTANCES,
    INSTRUCTIONS,
    TASKS,
    ModelInput,
)
from service.selfinstruct.recipe import Sampling
from service.simulator import SimulatorOptions
from tests.adapters.openai.answering_server import JSON_FORM, TEXT_FORM, VERDICT
from tests.adapters.openai.refusals import openai
from tests.adapters.openai_batch.batches import BatchApi, Change, batch_api, endpoint_at
from tests.adapters.scripted_server import Reply, chat

pytestmark = pytest.mark.anyio

CREATE, READ = "POST /v1/batches", "GET /v1/files/.+/content"
WHOLE = SimulatorOptions(truncation_rate=0, unusable_rate=0)
GREEDY = Sampling(temperature=0.0, top_p=0.0, max_tokens=1000, stop=())
SCHEMAS = (INSTRUCTIONS, TASKS, CLASSIFICATION, GENERATION_INSTANCES, CLASSIFICATION_INSTANCES)
STRICT = {
    "type": "json_schema",
    "json_schema": {"name": "classification", "strict": True, "schema": CLASSIFICATION.value},
}
CHAT = {"api": "chat"}


async def ask_all(endpoint: BatchEndpoint, *asked: ModelInput) -> list[Completion]:
    answers: dict[int, Completion] = {}

    async def one(place: int, prompt: ModelInput) -> None:
        answers[place] = await endpoint.attempt(prompt, GREEDY)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for place, prompt in enumerate(asked):
                tasks.start_soon(one, place, prompt)
    return [answers[place] for place in range(len(asked))]


async def bodies_in(api: BatchApi) -> list[dict[str, Any]]:
    """Return the bodies of all uploaded lines, the oldest first."""
    async with aiohttp.ClientSession(api.url) as session:
        listed = await (await session.get("/v1/files", params={"purpose": "batch"})).json()
        contents = [await (await session.get(f"/v1/files/{each['id']}/content")).read() for each in listed["data"]]
    return [orjson.loads(line)["body"] for content in reversed(contents) for line in content.splitlines()]


def answered(reply: Reply) -> Change:
    """Let the next downloaded file have this answer in its one line."""
    response = {"status_code": reply.status, "body": reply.body}
    return Change(READ, lambda line: line | {"response": response})


def refused(message: str, **more: object) -> Change:
    return answered(Reply(openai(message, **more), 400))


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (CHAT, {"response_format": STRICT}),
        ({"dialect": "llamacpp"}, {"json_schema": CLASSIFICATION.value}),
        ({"dialect": "vllm"}, {"response_format": STRICT}),
        ({}, {}),
    ],
)
async def test_a_line_carries_the_schema_and_the_system_message(
    options: Mapping[str, str], fields: Mapping[str, object]
) -> None:
    async with batch_api() as api, endpoint_at(api, openai=options) as endpoint:
        answer = await endpoint.attempt(JSON_FORM, GREEDY)
        (body,) = await bodies_in(api)
    messages = [{"role": "system", "content": "Answer with JSON."}, {"role": "user", "content": "Is it?"}]
    prompt = {"messages": messages} if "api" in options else {"prompt": "Answer with JSON.\n\nIs it?"}
    assert body == {"model": "m", "max_tokens": 1000, "temperature": 0.0, **prompt, **fields}
    assert CLASSIFICATION.fits(answer.text) == bool(fields)


async def test_each_step_of_a_run_gets_json_from_one_batch() -> None:
    asked = [ModelInput("Is it?", "Answer with JSON.", schema) for schema in SCHEMAS]
    async with batch_api(WHOLE) as api, endpoint_at(api, openai=CHAT) as endpoint:
        batched = await ask_all(endpoint, *asked, TEXT_FORM)
        async with OpenAIEndpoint(OpenAIOptions(api.url, "m")) as live:
            assert batched == [await live.attempt(prompt, GREEDY) for prompt in (*asked, TEXT_FORM)]
    assert [schema.fits(answer.text) for schema, answer in zip(SCHEMAS, batched, strict=False)] == [True] * 5
    assert api.called(CREATE) == 1


@pytest.mark.parametrize(
    "other", [replace(JSON_FORM, system="Answer at once."), replace(JSON_FORM, schema=INSTRUCTIONS), TEXT_FORM]
)
async def test_questions_are_equal_only_with_equal_system_and_schema(other: ModelInput) -> None:
    async with batch_api(WHOLE) as api, endpoint_at(api, openai=CHAT) as endpoint:
        one, same, different = await ask_all(endpoint, JSON_FORM, JSON_FORM, other)
    assert one.text == same.text
    assert api.asked.total() == 2
    assert other.schema is None or other.schema.fits(different.text)


async def test_a_format_that_a_line_was_refused_is_not_asked_again() -> None:
    async with batch_api() as api, endpoint_at(api, openai=CHAT) as endpoint:
        unavailable = refused("This response_format type is unavailable now")
        api.troubles += [unavailable, unavailable, answered(chat(VERDICT))]
        assert (await endpoint.attempt(JSON_FORM, GREEDY)).text == VERDICT
        await endpoint.attempt(replace(JSON_FORM, text="Is it not?"), GREEDY)
        formats = [body["response_format"] for body in await bodies_in(api)]
    named = {"name": "classification", "schema": CLASSIFICATION.value}
    assert formats == [STRICT, {"type": "json_schema", "json_schema": named}, *[{"type": "json_object"}] * 2]


async def test_lines_for_json_go_without_sampling_that_is_refused() -> None:
    async with batch_api() as api, endpoint_at(api, openai=CHAT) as endpoint:
        api.troubles += [refused("Unsupported value: 'temperature' does not support 0.", param="temperature")]
        assert CLASSIFICATION.fits((await endpoint.attempt(JSON_FORM, GREEDY)).text)
        assert ["temperature" in body for body in await bodies_in(api)] == [True, False]


async def test_thinking_in_an_answer_makes_room_in_the_next_batch() -> None:
    async with batch_api() as api, endpoint_at(api, openai=CHAT) as endpoint:
        api.troubles += [answered(chat(VERDICT, reasoning="Okay."))]
        answers = [await endpoint.attempt(JSON_FORM, GREEDY) for _ in range(2)]
        rooms = [body["max_tokens"] for body in await bodies_in(api)]
    assert answers[0].text == VERDICT
    assert rooms == [1000, 1000 + 4096]


@pytest.mark.parametrize(("tokens", "kind"), [(None, AttemptFailedError), (500, CallFailedError)])
async def test_a_line_with_thinking_alone_is_no_answer(tokens: int | None, kind: type[Exception]) -> None:
    async with batch_api() as api, endpoint_at(api, openai=CHAT | {"thinking_tokens": tokens}) as endpoint:
        api.troubles += [answered(chat("", "length", reasoning="Okay."))]
        with pytest.raises(kind, match="thinking alone, and its tokens ran out before an answer began"):
            await endpoint.attempt(JSON_FORM, GREEDY)


async def test_json_in_the_field_for_thinking_is_read_from_a_line() -> None:
    async with batch_api() as api, endpoint_at(api, openai=CHAT) as endpoint:
        api.troubles += [answered(chat(None, reasoning_content=VERDICT))]
        answer = await endpoint.attempt(JSON_FORM, GREEDY)
    assert (answer.text, answer.in_reasoning) == (VERDICT, True)
    assert api.called(CREATE) == 1
