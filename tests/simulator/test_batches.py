"""The batch API of the simulator, as a client sees it."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
import orjson
import pytest

from service.simulator import Simulator, SimulatorOptions, serve

pytestmark = pytest.mark.anyio

PLAIN = SimulatorOptions()
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


@dataclass(frozen=True)
class Client:
    """A client of the batch API of one simulator."""

    simulator: Simulator
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, expected: int = 200, **more: Any) -> Any:
        async with self.session.request(method, f"{self.simulator.url}/{path}", **more) as response:
            assert response.status == expected, await response.text()
            return orjson.loads(await response.read())

    async def upload(self, content: bytes, purpose: str = "batch", expected: int = 200) -> Any:
        form = aiohttp.FormData()
        form.add_field("purpose", purpose)
        form.add_field("file", content, filename="ours.jsonl", content_type="application/jsonl")
        return await self.call("POST", "files", expected, data=form)

    async def create(self, content: bytes, endpoint: str = COMPLETIONS) -> Any:
        file_id = (await self.upload(content))["id"]
        order = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", "metadata": {"run": "a"}}
        return await self.call("POST", "batches", json=order)

    async def look(self, batch: Any) -> Any:
        return await self.call("GET", f"batches/{batch['id']}")

    async def until(self, batch: Any, status: str) -> Any:
        with anyio.fail_after(5):
            while (batch := await self.look(batch))["status"] != status:
                await anyio.lowlevel.checkpoint()
        return batch

    async def results(self, file_id: str | None) -> dict[str, Any]:
        """Return the lines of a result file by their custom id, in the order of the file."""
        async with self.session.get(f"{self.simulator.url}/files/{file_id}/content") as response:
            lines = [orjson.loads(line) for line in (await response.read()).splitlines()]
        return {line["custom_id"]: line for line in lines}


@asynccontextmanager
async def client_of(options: SimulatorOptions = PLAIN, **headers: str) -> AsyncIterator[Client]:
    async with serve(options) as simulator, aiohttp.ClientSession(headers=headers) as session:
        yield Client(simulator, session)


def line(custom_id: str, url: str = COMPLETIONS, method: str = "POST", **body: Any) -> bytes:
    """Return the line of an input file, with its line feed."""
    request = {"custom_id": custom_id, "method": method, "url": url, "body": {"model": "m", **body}}
    return orjson.dumps(request) + b"\n"


def lines(number: int) -> bytes:
    return b"".join(line(f"number {each}", prompt=f"Say {each}.") for each in range(number))


async def test_a_file_is_kept_and_can_be_deleted() -> None:
    async with client_of() as client:
        stored = await client.upload(lines(1))
        assert (stored["object"], stored["purpose"], stored["filename"]) == ("file", "batch", "ours.jsonl")
        assert stored["bytes"] == len(lines(1))
        assert await client.call("GET", f"files/{stored['id']}") == stored
        assert (await client.call("GET", "files", params={"purpose": "batch"}))["data"] == [stored]
        assert list(await client.results(stored["id"])) == ["number 0"]
        assert (await client.call("DELETE", f"files/{stored['id']}"))["deleted"]
        await client.call("GET", f"files/{stored['id']}", 404)
        await client.call("DELETE", f"files/{stored['id']}", 404)


async def test_a_form_without_a_file_for_a_batch_is_refused() -> None:
    async with client_of() as client:
        await client.upload(lines(1), purpose="fine-tune", expected=400)
        await client.call("POST", "files", 400, json={})
        await client.call("POST", "files", 400, data=aiohttp.FormData({"purpose": "batch"}, default_to_multipart=True))


async def test_a_batch_is_done_when_its_status_is_read() -> None:
    async with client_of() as client:
        batch = await client.create(lines(3))
        assert (batch["object"], batch["status"], batch["output_file_id"]) == ("batch", "validating", None)
        batch = await client.look(batch)
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert (batch["error_file_id"], batch["errors"], batch["metadata"]) == (None, None, {"run": "a"})
    assert batch["expires_at"] == batch["created_at"] + 24 * 3600
    assert batch["completed_at"] >= batch["in_progress_at"] >= batch["created_at"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [(COMPLETIONS, {"prompt": "Say it."}), (CHAT, {"messages": [{"role": "user", "content": "Say it."}]})],
)
async def test_the_answers_are_those_of_the_other_endpoints(url: str, asked: dict[str, Any]) -> None:
    async with client_of() as client:
        batch = await client.look(await client.create(line("one", url, **asked), url))
        result = (await client.results(batch["output_file_id"]))["one"]
        live = await client.call("POST", url.removeprefix("/v1/"), json=asked)
    assert result["error"] is None
    assert result["response"]["status_code"] == 200
    assert result["response"]["request_id"]
    body = result["response"]["body"]
    assert {**body, "id": "", "created": 0} == {**live, "id": "", "created": 0}


async def test_results_come_in_another_order() -> None:
    async with client_of() as client:
        batch = await client.look(await client.create(lines(20)))
        names = list(await client.results(batch["output_file_id"]))
    expected = [f"number {each}" for each in range(20)]
    assert names != expected
    assert sorted(names) == sorted(expected)


async def test_every_line_is_charged_and_in_the_journal() -> None:
    async with client_of() as client:
        batch = await client.look(await client.create(lines(2)))
        results = await client.results(batch["output_file_id"])
        journal = client.simulator.journal
    usages = [result["response"]["body"]["usage"] for result in results.values()]
    assert [entry.path for entry in journal.entries] == ["/v1/batches"] * 2
    assert {entry.prompt_sha256 for entry in journal.entries} == {
        hashlib.sha256(f"Say {each}.".encode()).hexdigest() for each in range(2)
    }
    assert journal.totals.completion_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert client.simulator.charged.prompt_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert journal.totals.requests == 2


async def test_a_batch_takes_its_time() -> None:
    async with client_of(SimulatorOptions(batch_duration_s=0.2)) as client:
        batch = await client.look(await client.create(lines(10)))
        assert batch["status"] == "in_progress"
        assert batch["request_counts"]["total"] == 10
        batch = await client.until(batch, "completed")
    assert batch["request_counts"]["completed"] == 10


async def test_a_cancelled_batch_keeps_its_finished_lines() -> None:
    async with client_of(SimulatorOptions(batch_duration_s=3600)) as client:
        batch = await client.look(await client.create(lines(3)))
        assert (await client.call("POST", f"batches/{batch['id']}/cancel"))["status"] == "cancelling"
        batch = await client.look(batch)
        assert batch["status"] == "cancelled"
        errors = await client.results(batch["error_file_id"])
        await client.call("POST", f"batches/{batch['id']}/cancel", 409)
    assert {error["error"]["code"] for error in errors.values()} == {"batch_cancelled"}
    assert client.simulator.journal.totals.requests == 0


async def test_a_batch_expires_with_some_of_its_lines_done() -> None:
    async with client_of(SimulatorOptions(batch_expired_rate=0.5)) as client:
        batch = await client.look(await client.create(lines(20)))
        good = await client.results(batch["output_file_id"])
        bad = await client.results(batch["error_file_id"])
    assert batch["status"] == "expired"
    assert len(good) + len(bad) == 20
    assert len(good) == batch["request_counts"]["completed"] == client.simulator.journal.totals.requests
    assert {each["error"]["code"] for each in bad.values()} == {"batch_expired"}
    assert {each["response"] for each in bad.values()} == {None}


async def test_lines_fail_as_other_requests_do() -> None:
    types = ("rate_limit", "internal_error", "timeout", "invalid_request")
    async with client_of(SimulatorOptions(failure_injection_rate=50, failure_types=types)) as client:
        batch = await client.look(await client.create(lines(60)))
        good = await client.results(batch["output_file_id"])
        bad = await client.results(batch["error_file_id"])
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 60, "completed": len(good), "failed": len(bad)}
    responses = [each["response"] for each in bad.values()]
    assert {response["status_code"] for response in responses if response} == {429, 500, 400}
    assert {each["error"]["code"] for each in bad.values() if each["response"] is None} == {"server_error"}
    assert client.simulator.journal.totals.by_failure.total() == len(bad)


async def test_a_spoiled_answer_is_charged() -> None:
    async with client_of(SimulatorOptions(failure_injection_rate=100, failure_types=("malformed",))) as client:
        batch = await client.look(await client.create(lines(1)))
        result = (await client.results(batch["output_file_id"]))["number 0"]
    assert isinstance(result["response"]["body"], str)
    assert client.simulator.journal.totals.untold_answers == 1


@pytest.mark.parametrize(
    ("content", "code", "wrong"),
    [
        (b"", "empty_file", [None]),
        (line("a", prompt="x") + b"nonsense\n[]\n", "invalid_json_line", [2, 3]),
        (line("a", prompt="x") * 2, "duplicate_custom_id", [2]),
        (line("a", CHAT, prompt="x"), "invalid_value", [1]),
        (line("a", method="GET", prompt="x"), "invalid_value", [1]),
        (b'{"custom_id": "a", "method": "POST", "url": "/v1/completions"}', "missing_required_parameter", [1]),
        (lines(6), "too_many_requests", [None]),
        (line("a", prompt="x", max_tokens=1000), "token_limit_exceeded", [None]),
    ],
)
async def test_a_file_that_is_wrong_makes_no_batch(content: bytes, code: str, wrong: Sequence[int | None]) -> None:
    async with client_of(SimulatorOptions(max_batch_requests=5, max_batch_tokens=500)) as client:
        batch = await client.look(await client.create(content))
    assert batch["status"] == "failed"
    errors = batch["errors"]["data"]
    assert [error["line"] for error in errors] == wrong
    assert {error["code"] for error in errors} == {code}
    assert batch["failed_at"]
    assert client.simulator.journal.totals.requests == 0


async def test_an_unknown_model_makes_no_batch_in_strict_mode() -> None:
    async with client_of(SimulatorOptions(strict_model=True)) as client:
        batch = await client.look(await client.create(lines(1)))
    assert batch["errors"]["data"][0]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "change",
    [
        {"input_file_id": 1},
        {"endpoint": "/v1/embeddings"},
        {"completion_window": "1h"},
        {"metadata": "none"},
    ],
)
async def test_an_incomplete_batch_request_is_refused(change: dict[str, Any]) -> None:
    async with client_of() as client:
        stored = await client.upload(lines(1))
        order = {"input_file_id": stored["id"], "endpoint": COMPLETIONS, "completion_window": "24h"}
        await client.call("POST", "batches", 400, json=order | change)
        await client.call("POST", "batches", 400, data=b"nonsense")
        await client.call("POST", "batches", 404, json=order | {"input_file_id": "file-none"})
        await client.call("GET", "batches/batch_none", 404)


async def test_batches_are_listed_page_by_page_newest_first() -> None:
    async with client_of() as client:
        made = [(await client.create(lines(1)))["id"] for _ in range(5)]
        first = await client.call("GET", "batches", params={"limit": "2"})
        second = await client.call("GET", "batches", params={"limit": "3", "after": first["last_id"]})
        await client.call("GET", "batches", 400, params={"limit": "0"})
        await client.call("GET", "batches", 400, params={"after": "batch_none"})
    assert [batch["id"] for batch in (*first["data"], *second["data"])] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_a_wrong_key_is_refused() -> None:
    options = SimulatorOptions(api_keys=("right",))
    async with client_of(options, Authorization="Bearer wrong") as client:
        await client.call("GET", "batches", 401)
        await client.upload(lines(1), expected=401)
    async with client_of(options, Authorization="Bearer right") as client:
        batch = await client.look(await client.create(lines(1)))
        assert batch["status"] == "completed"
        assert client.simulator.journal.entries[0].key is not None
