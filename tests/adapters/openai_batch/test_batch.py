"""Questions in batches: each gets its answer, and its cost is counted once."""

from dataclasses import replace

import pytest

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.adapters.openai.server_profiles import Api
from service.adapters.openai_batch.http_client import address_of
from service.lm.port import Endpoint
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from service.simulator import SimulatorOptions
from tests.adapters.openai_batch.batches import SAMPLING, ask, batch_api, completions, endpoint_at, prompts

pytestmark = pytest.mark.anyio

CREATE, UPLOAD = "POST /v1/batches", "POST /v1/files"


async def test_questions_asked_together_are_one_batch() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        answers = completions(await ask(endpoint, prompts(20)))
    assert len({answer.text for answer in answers}) == 20
    assert api.called(CREATE) == api.called(UPLOAD) == 1


@pytest.mark.parametrize("interface", ["completions", "chat"])
async def test_the_answers_are_those_of_a_live_server(interface: Api) -> None:
    async with batch_api() as api, endpoint_at(api, openai={"api": interface}) as endpoint:
        batched = completions(await ask(endpoint, prompts(3)))
        async with OpenAIEndpoint(OpenAIOptions(api.url, "m", api=interface)) as live:
            asked = [await live.attempt(ModelInput(prompt), SAMPLING) for prompt in prompts(3)]
    assert batched == asked


async def test_the_usage_equals_the_server_s_charge() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        answers = completions(await ask(endpoint, prompts(20)))
    assert sum((answer.usage for answer in answers if answer.usage), Usage(0, 0)) == api.simulator.charged


async def test_the_same_question_asked_twice_at_once_is_paid_once() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        one, other = completions(await ask(endpoint, ["Who?", "Who?"]))
    assert one.text == other.text
    assert sorted([one.usage, other.usage], key=str) == sorted([api.simulator.charged, Usage(0, 0)], key=str)
    assert api.asked.total() == 1


async def test_a_batch_has_no_more_lines_than_its_limit() -> None:
    async with batch_api(SimulatorOptions(max_batch_requests=8)) as api, endpoint_at(api, max_requests=8) as endpoint:
        completions(await ask(endpoint, prompts(20)))
    assert api.called(CREATE) == 3


async def test_a_file_is_no_larger_than_it_may_be() -> None:
    async with batch_api() as api, endpoint_at(api, max_bytes=1000) as endpoint:
        completions(await ask(endpoint, prompts(6)))
    files = api.called(UPLOAD)
    assert 1 < files < 6


async def test_later_questions_go_into_later_batches() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        completions(await ask(endpoint, prompts(2)))
        completions(await ask(endpoint, ["another"]))
    assert api.called(CREATE) == 2


async def test_a_question_asked_again_later_is_a_new_one() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        completions(await ask(endpoint, ["Who?"]))
        completions(await ask(endpoint, ["Who?"]))
    assert api.asked.total() == 2


async def test_a_batch_carries_its_run_and_asks_for_the_window() -> None:
    async with batch_api() as api, endpoint_at(api, run="second run/ü") as endpoint:
        completions(await ask(endpoint, prompts(1)))
        async with endpoint_at(api) as outsider:
            completions(await ask(outsider, prompts(1)))
    assert api.called(CREATE) == 2


async def test_nothing_is_sent_before_something_is_asked() -> None:
    async with batch_api() as api, endpoint_at(api):
        pass
    assert api.calls == []


async def test_the_name_of_the_endpoint_holds_no_secret() -> None:
    async with batch_api() as api, endpoint_at(api, openai={"model": "small"}) as endpoint:
        assert endpoint.name == f"{api.url.removeprefix('http://')}/small in batches"


async def test_stops_are_applied_to_the_answer() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        whole = completions(await ask(endpoint, prompts(1)))[0]
        word = whole.text.split()[3]
        cut = completions(await ask(endpoint, prompts(1), replace(SAMPLING, stop=("#", "+", "%", "@", word))))[0]
    assert cut.text == whole.text[: whole.text.index(word)]


@pytest.mark.parametrize(
    ("base_url", "files"),
    [
        ("http://host:8000", "http://host:8000/v1/files?limit=1"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1/files?limit=1"),
        (
            "https://us.openai.azure.com/openai/deployments/four?api-version=2024-10-21",
            "https://us.openai.azure.com/openai/files?api-version=2024-10-21&limit=1",
        ),
    ],
)
def test_files_are_beside_the_models(base_url: str, files: str) -> None:
    assert str(address_of(OpenAIOptions(base_url, "m").addresses, "files", {"limit": "1"})) == files


async def test_a_batch_endpoint_implements_the_port() -> None:
    async with batch_api() as api, endpoint_at(api) as endpoint:
        as_port: Endpoint = endpoint
        assert (await as_port.attempt(ModelInput("Who?"), SAMPLING)).cost.attempts == 1
