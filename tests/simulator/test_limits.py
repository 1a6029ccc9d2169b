from dataclasses import dataclass, replace
from math import nan

import anyio
import pytest

from service.simulator import SimulatorOptions
from service.simulator.error_responses import RefusedError
from service.simulator.journal import Entry
from service.simulator.limits import KeyLimits
from service.simulator.state import digest
from tests.simulator.client import HELD, PLAIN, PROMPT, connected, until

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Limited:
    """Limits with a clock that the test controls."""

    options: SimulatorOptions

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.limits = KeyLimits(self.options, self.clock)

    def ask(self, key: str = "a", reserved: int = 0, charged: int = 0) -> float:
        """Return 0 if a request is admitted, or its wait in seconds."""
        entry = Entry(1, "/", 0, key=key)
        try:
            with self.limits.admitted(entry, reserved):
                entry.completion_tokens = charged
        except RefusedError as refused:
            return refused.after_s or nan
        return 0.0


def test_requests_per_minute_come_evenly_with_a_small_burst() -> None:
    limited = Limited(SimulatorOptions(requests_per_minute=60))
    assert [limited.ask() for _ in range(6)] == [0, 0, 0, 0, 0, pytest.approx(1)]
    limited.clock.now_s += 0.4
    assert limited.ask() == pytest.approx(0.6)
    limited.clock.now_s += 0.6
    assert limited.ask() == 0
    assert limited.ask() == pytest.approx(1)


def test_a_minute_admits_the_limit_and_a_burst() -> None:
    limited = Limited(SimulatorOptions(requests_per_minute=120))
    admitted = 0
    for _ in range(600):
        admitted += limited.ask() == 0
        limited.clock.now_s += 0.1
    assert 120 <= admitted <= 130


def test_the_reported_wait_is_long_enough() -> None:
    limited = Limited(SimulatorOptions(requests_per_minute=700, tokens_per_minute=70_000))
    for _ in range(1000):
        limited.clock.now_s += limited.ask(reserved=97, charged=97)
        assert limited.ask(reserved=97, charged=97) == 0


def test_a_low_limit_still_admits_one_request() -> None:
    limited = Limited(SimulatorOptions(requests_per_minute=1))
    assert [limited.ask(), limited.ask()] == [0, pytest.approx(60)]


def test_reserved_tokens_that_were_not_written_are_returned() -> None:
    limited = Limited(SimulatorOptions(tokens_per_minute=6000))
    assert limited.ask(reserved=500, charged=100) == 0
    assert limited.ask(reserved=400, charged=400) == 0
    assert limited.ask(reserved=100) == pytest.approx(1)


def test_a_request_above_the_burst_is_admitted_at_a_full_bucket() -> None:
    limited = Limited(SimulatorOptions(tokens_per_minute=6000))
    assert limited.ask(reserved=900, charged=900) == 0
    assert limited.ask(reserved=900) == pytest.approx(9)
    limited.clock.now_s += 9
    assert limited.ask(reserved=900) == 0


def test_every_key_has_its_own_limits() -> None:
    limited = Limited(SimulatorOptions(requests_per_minute=12))
    assert [limited.ask("a"), limited.ask("b"), limited.ask("a") > 0, limited.ask("b") > 0] == [0, 0, True, True]


def test_changed_limits_apply_at_once() -> None:
    limited = Limited(SimulatorOptions(requests_per_minute=12))
    assert [limited.ask(), limited.ask()] == [0, pytest.approx(5)]
    limited.limits.change(SimulatorOptions(requests_per_minute=1200))
    assert limited.ask() == 0
    limited.limits.change(SimulatorOptions())
    assert [limited.ask() for _ in range(200)] == [0] * 200


async def test_a_key_has_a_limit_of_concurrent_requests_and_no_queue() -> None:
    options = replace(HELD, requests_at_once=2, retry_after_s=3)
    async with connected(options) as client:
        capacity = client.simulator.capacity
        async with anyio.create_task_group() as clients:
            for _ in range(2):
                clients.start_soon(client.complete, PROMPT)
            await until(lambda: capacity.running == 2)
            refused = await client.complete(PROMPT)
            clients.start_soon(lambda: client.complete(PROMPT, Authorization="Bearer other"))
            await until(lambda: capacity.running == 3)
            clients.cancel_scope.cancel()
        await until(lambda: capacity.running == 0)
        client.simulator.reconfigure(time_to_first_token_s=0.0)
        assert (await client.complete(PROMPT)).status == 200
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3")
    assert "requests at once" in refused.body["error"]["message"]


async def test_a_key_above_its_rate_gets_a_retry_after_header() -> None:
    async with connected(replace(PLAIN, requests_per_minute=6)) as client:
        assert (await client.complete(PROMPT)).status == 200
        refused = await client.complete(PROMPT)
        entry = client.simulator.journal.entries[-1]
    assert refused.status == 429
    assert 9 < float(refused.headers["Retry-After"]) <= 10
    assert refused.body["error"]["code"] == "rate_limit_exceeded"
    assert (entry.status, entry.charged_tokens) == (429, 0)


async def test_the_token_limit_counts_prompt_and_requested_tokens() -> None:
    async with connected(replace(PLAIN, tokens_per_minute=12_000)) as client:
        first = await client.complete(PROMPT, max_tokens=900)
        refused = await client.complete(PROMPT, max_tokens=900)
    used, wanted = first.body["usage"]["total_tokens"], first.body["usage"]["prompt_tokens"] + 900
    assert refused.status == 429
    assert (used + wanted - 1000) / 200 - 1 < float(refused.headers["Retry-After"]) <= (used + wanted - 1000) / 200


@pytest.mark.parametrize("header", [{"Authorization": "Bearer good"}, {"api_key": "good"}])
async def test_a_known_key_is_accepted(header: dict[str, str]) -> None:
    async with connected(replace(PLAIN, api_keys=("other", "good"))) as client:
        assert (await client.post("/completions", {"prompt": PROMPT}, **header)).status == 200
        assert client.simulator.journal.entries[-1].key == digest("good")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer bad"}, {"Authorization": "Bearer "}])
async def test_other_keys_are_refused(header: dict[str, str]) -> None:
    async with connected(replace(PLAIN, api_keys=("good",))) as client:
        for answer in (await client.complete(PROMPT, **header), await client.get("/v1/models")):
            assert (answer.status, answer.body["error"]["code"]) == (401, "invalid_api_key")
        assert (await client.get("/health")).status == 200
        assert client.simulator.journal.entries[-1].charged_tokens == 0


async def test_keys_are_never_in_the_journal() -> None:
    async with connected(PLAIN) as client:
        await client.complete(PROMPT, Authorization="Bearer secret-key")
        async with client.session.get(client.simulator.url.removesuffix("/v1") + "/sim/requests") as response:
            assert "secret-key" not in await response.text()
