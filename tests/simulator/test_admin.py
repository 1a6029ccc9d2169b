from dataclasses import replace

import anyio
import pytest

from service.errors import ConfigurationError
from service.simulator import Simulator, SimulatorOptions
from tests.simulator.client import HELD, PLAIN, PROMPT, Answer, connected, until

pytestmark = pytest.mark.anyio


async def test_the_configuration_is_shown_by_flags_and_without_keys() -> None:
    options = replace(PLAIN, time_to_first_token_s=0.25, startup_duration_s=0, api_keys=("secret",))
    async with connected(options) as client:
        shown = (await client.get("/admin/config")).body
    assert shown["time-to-first-token"] == "250ms"
    assert shown["startup-duration"] == "0s"
    assert shown["retry-after"] == "1s"
    assert shown["retry-after-form"] == "seconds"
    assert shown["served-model-name"] == "seedstream-simulator"
    assert shown["failure-types"] == ["rate_limit", "server_error"]
    assert "api-keys" not in shown


async def test_failures_begin_and_end_while_it_runs() -> None:
    async with connected(PLAIN) as client:
        changed = await client.configure(failure_injection_rate=100, failure_types=["quota"], retry_after="2s")
        assert (changed.body["failure-types"], changed.body["retry-after"]) == (["quota"], "2s")
        assert (await client.complete(PROMPT)).body["error"]["code"] == "insufficient_quota"
        await client.configure(failure_injection_rate=0, failure_rates={"payment": 100})
        assert (await client.complete(PROMPT)).status == 402
        await client.configure(failure_rates={})
        assert (await client.complete(PROMPT)).status == 200


async def test_the_api_keys_can_be_changed_while_it_runs() -> None:
    async with connected(replace(PLAIN, api_keys=("other",))) as client:
        assert (await client.complete(PROMPT, Authorization="Bearer mine")).status == 401
        await client.configure(api_keys=["other", "mine"])
        assert (await client.complete(PROMPT, Authorization="Bearer mine")).status == 200
        client.simulator.reconfigure(api_keys=())
        assert (await client.complete(PROMPT)).status == 200


async def test_capacity_changes_while_requests_run() -> None:
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await client.complete(PROMPT))

    async with connected(replace(HELD, max_num_seqs=2)) as client, anyio.create_task_group() as clients:
        capacity = client.simulator.capacity
        for _ in range(5):
            clients.start_soon(ask)
        await until(lambda: (capacity.running, capacity.waiting) == (2, 3))
        await client.configure(time_to_first_token="0s", max_num_seqs=3)
        await until(lambda: len(answers) == 3)
        assert (capacity.running, capacity.waiting) == (2, 0)
        await client.configure(max_num_seqs=1, max_waiting_queue_length=0)
        assert capacity.running == 2
        refused = await client.complete(PROMPT)
        clients.cancel_scope.cancel()
    assert [answer.status for answer in answers] == [200] * 3
    assert refused.status == 429


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"max_num_seqs": 3}', "max_num_seqs: expected some of seed, served-model-name"),
        (b'{"max-num-seqs": "many"}', "max-num-seqs is 'many'"),
        (b'{"max-num-seqs": -1}', "max_num_seqs is -1"),
        (b'{"retry-after": "soon"}', "retry-after: expected a duration"),
        (b'{"retry-after-form": "loud"}', "retry-after-form is 'loud'"),
        (b'{"failure-types": ["gremlins"]}', "gremlins"),
        (b'{"failure-types": ["abort:often"]}', "expected a rate in percent"),
        (b'{"seed": 3}', "seed cannot be changed while it runs"),
    ],
)
async def test_a_change_is_applied_completely_or_not_at_all(body: bytes, says: str) -> None:
    async with connected(PLAIN) as client:
        url = client.simulator.url.removesuffix("/v1") + "/admin/config"
        valid = b'{"requests-at-once": 5, ' + body[1:] if body.endswith(b"}") else body
        async with client.session.post(url, data=valid) as response:
            assert response.status == 400
            assert says in (await response.json())["error"]["message"]
        assert client.simulator.options == PLAIN


async def test_errors_about_keys_do_not_contain_them() -> None:
    async with connected(PLAIN) as client:
        answer = await client.configure(api_keys="secret")
    assert answer.status == 400
    assert "api-keys is" in answer.body["error"]["message"]
    assert "secret" not in str(answer.body)


async def test_options_that_are_null_stay_unchanged() -> None:
    async with connected(replace(PLAIN, max_num_seqs=7)) as client:
        assert (await client.configure(max_num_seqs=None, requests_at_once=1)).body["max-num-seqs"] == 7


def test_an_option_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="max_seqs"):
        Simulator(SimulatorOptions()).reconfigure(max_seqs=3)
