"""Runs, goals and seed tasks over HTTP, with the log that they end on."""

import os
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import ClientTimeout

from service.adapters.sqlite import SqliteBroker
from service.messaging import topics
from service.messaging.messages import GoalSet, Message, PooledTask
from service.messaging.topic_reader import replay
from tests.web.service import Service, served, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]
_SEED = {"instruction": "Name a river.", "instances": [{"input": "", "output": "The Elbe."}]}
_GOAL = "/v1/runs/a/goal"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with served(tmp_path / "runs") as service:
        yield service


async def _define(service: Service, **given: Any) -> dict[str, Any]:
    answer = await service.post("/v1/runs", json={"run": "a", "target": 5, "lm_api": "completions"} | given)
    assert answer.status == HTTPStatus.CREATED, await answer.text()
    defined: dict[str, Any] = await answer.json()
    return defined


async def _on_log(folder: Path, *on: topics.Topic[Any]) -> list[Message]:
    found: list[Message] = []
    async with SqliteBroker.open(folder / "runs/a.sqlite3", read_only=True) as broker:
        await replay(broker, "a", on, found.append)
    return found


async def test_a_run_is_defined_with_its_goal(service: Service) -> None:
    defined = await _define(service, budget_usd=2.5, rpm=60)
    assert defined["command"] == "seedstream run --run a"
    goal = await (await service.get(_GOAL)).json()
    assert goal == defined["goal"]
    assert (goal["target"], goal["budget_usd"], goal["rpm"], goal["tpm"]) == (5, 2.5, 60, None)
    facts = await (await service.get("/v1/runs/a")).json()
    assert (facts["run"], facts["target"], facts["finished"], facts["paused"]) == ("a", 5, 0, False)
    entry = {"run": "a", "is_open": True, "state": "not_running", "command": "seedstream run --run a"}
    assert await (await service.get("/v1/runs")).json() == {"runs": [entry]}
    assert (facts["state"], facts["command"]) == ("not_running", "seedstream run --run a")


async def test_a_new_run_has_no_limits_of_the_process(tmp_path: Path) -> None:
    async with served(tmp_path / "runs", target=7, budget=3.0, rpm=5, max_in_flight=2) as service:
        answer = await service.post("/v1/runs", json={"run": "a", "lm_api": "completions"})
        goal = (await answer.json())["goal"]
    assert goal.pop("target") == 100
    assert {limit for name, limit in goal.items() if name != "paused"} == {None}


async def test_a_run_is_defined_with_seeds_and_a_subject(service: Service, tmp_path: Path) -> None:
    seeds = [_SEED | {"instruction": f"Name river number {n} of Europe."} for n in range(10)]
    topic = {"name": "rivers", "share": 2, "about": "water that flows"}
    await _define(service, seeds=seeds, about="geography", topics=[topic, {"name": "hills", "share": 1}])
    facts = await (await service.get("/v1/runs/a")).json()
    assert facts["about"] == "geography"
    assert [each["topic"] for each in facts["topics"]] == ["rivers", "hills"]
    submitted = await _on_log(tmp_path, topics.CANDIDATES)
    assert len({each.id for each in submitted}) == 10  # type: ignore[attr-defined]


async def test_a_run_is_defined_once(service: Service) -> None:
    await _define(service)
    again = await service.post("/v1/runs", json={"run": "a"})
    assert again.status == HTTPStatus.CONFLICT
    assert (await again.json())["command"] == "seedstream goal --run a --target N"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"run": "../a"}, "run"),
        ({"run": "a/b"}, "run"),
        ({"run": "a\n"}, "run"),
        ({"run": "A"}, "at most 63 small letters, digits, - and _"),
        ({"targt": 5}, "did you mean `target`?"),
        ({"target": 0}, "target"),
        ({"target": 1.5}, "target"),
        ({"recipe": "mine.toml"}, "recipe"),
        ({"seeds": "/etc/passwd"}, "seeds"),
        ({"seeds": [_SEED]}, "at least as many seed tasks"),
        ({"seeds": [_SEED, _SEED]}, "used above already"),
        ({"templates": "/tmp"}, "templates"),
        ({"broker": "kafka://evil:9092"}, "broker"),
        ({"lm_url": "http://169.254.169.254/"}, "lm_url"),
        ({"about": " "}, "about"),
        ({"topics": [{"name": "a", "share": 1}, {"name": "A", "share": 1}]}, "different names"),
        ({"topics": [{"name": "a", "share": 1}, {"name": "b"}]}, "share of every topic"),
    ],
)
async def test_a_wrong_run_is_refused(service: Service, tmp_path: Path, given: dict[str, Any], expected: str) -> None:
    answer = await service.post("/v1/runs", json={"run": "a"} | given)
    assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert expected in (await answer.json())["detail"]
    assert [each.name async for each in anyio.Path(tmp_path).glob("**/*.sqlite3")] == []


async def test_a_name_of_a_file_is_a_text(service: Service, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    await anyio.Path(secret).write_text("not for others")
    await _define(service, about=str(secret), system_prompt=str(secret))
    facts = await (await service.get("/v1/runs/a")).json()
    assert facts["about"] == str(secret)


async def test_a_goal_changes_as_far_as_it_is_given(service: Service, tmp_path: Path) -> None:
    await _define(service, budget_usd=2, rpm=60)
    answer = await service.ask("PATCH", _GOAL, json={"target": 7, "budget_usd": None, "rpm": 0, "paused": True})
    assert answer.status == HTTPStatus.OK
    goal = await answer.json()
    assert (goal["target"], goal["budget_usd"], goal["rpm"], goal["paused"]) == (7, None, None, True)
    goals = [each for each in await _on_log(tmp_path, topics.CONTROL) if isinstance(each, GoalSet)]
    assert [each.target for each in goals] == [5, 7]


async def test_a_goal_that_stays_is_not_written(service: Service, tmp_path: Path) -> None:
    await _define(service)
    assert (await service.ask("PATCH", _GOAL, json={"target": 5})).status == HTTPStatus.OK
    assert sum(isinstance(each, GoalSet) for each in await _on_log(tmp_path, topics.CONTROL)) == 1


@pytest.mark.parametrize(
    "change", [{"target": 0}, {"target": None}, {"rpm": -1}, {"paused": 1}, {"goal": 1}, {"target": "7"}, []]
)
async def test_a_wrong_goal_is_refused(service: Service, change: object) -> None:
    await _define(service)
    assert (await service.ask("PATCH", _GOAL, json=change)).status == HTTPStatus.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("path", ["/v1/runs/none", "/v1/runs/none/goal", "/v1/runs/..%2Fa", "/v1/runs/%00"])
async def test_an_unknown_run_is_not_found(service: Service, path: str) -> None:
    answer = await service.get(path)
    assert answer.status == HTTPStatus.NOT_FOUND
    assert answer.content_type == "application/problem+json"


async def test_goals_that_come_together_are_all_kept(service: Service) -> None:
    await _define(service)
    changes = ({"rpm": 1}, {"tpm": 2}, {"max_in_flight": 3}, {"max_prompts": 4})
    async with anyio.create_task_group() as tasks:
        for change in changes:
            tasks.start_soon(partial(service.ask, "PATCH", _GOAL, json=change))
    goal = await (await service.get(_GOAL)).json()
    assert [goal[name] for name in ("rpm", "tpm", "max_in_flight", "max_prompts")] == [1, 2, 3, 4]


async def test_a_seed_joins_the_pool_where_nobody_works(service: Service, tmp_path: Path) -> None:
    await _define(service)
    answer = await service.post("/v1/runs/a/seeds", json=_SEED)
    assert answer.status == HTTPStatus.ACCEPTED, await answer.text()
    (added,) = (await answer.json())["added"]
    pool = [each for each in await _on_log(tmp_path, topics.POOL) if isinstance(each, PooledTask)]
    assert added in [each.id for each in pool]
    again = await service.post("/v1/runs/a/seeds", json=_SEED)
    assert await again.json() == {"added": []}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"instructon": "Name a river."}, "did you mean `instruction`?"),
        ({"topic": "rivers"}, "the fields are instruction, instances, id, name, is_classification"),
        ({"instances": [{"ouput": "The Elbe.", "output": ""}]}, "did you mean `output`?"),
        ({"a` - at `$.b": 1}, "the fields are instruction"),
        ({"instruction": " "}, "Expected a text with more than white space - at `$.instruction`"),
    ],
)
async def test_a_wrong_seed_is_refused_in_words(service: Service, given: dict[str, Any], told: str) -> None:
    await _define(service)
    answer = await service.post("/v1/runs/a/seeds", json=_SEED | given)
    assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert told in (await answer.json())["detail"]


async def test_a_seed_of_another_content_is_refused(service: Service) -> None:
    await _define(service)
    await service.post("/v1/runs/a/seeds", json=_SEED | {"id": "mine"})
    answer = await service.post("/v1/runs/a/seeds", json=_SEED | {"id": "mine", "instruction": "Name a hill."})
    assert answer.status == HTTPStatus.CONFLICT
    assert "another task with this id" in (await answer.json())["detail"]


async def test_a_run_of_another_process_is_read_only(service: Service, tmp_path: Path) -> None:
    await _define(service)
    async with SqliteBroker.open(tmp_path / "runs/a.sqlite3"):
        assert (await service.get("/v1/runs/a")).status == HTTPStatus.OK
        for method, path, body in (("PATCH", _GOAL, {"target": 9}), ("POST", "/v1/runs/a/seeds", _SEED)):
            answer = await service.ask(method, path, json=body)
            assert answer.status == HTTPStatus.CONFLICT
            problem = await answer.json()
            assert "alone may write" in problem["detail"]
            assert problem["command"] == "seedstream run --run a --web"


async def test_a_run_with_a_living_process_is_running(service: Service, tmp_path: Path) -> None:
    await _define(service)
    lock = anyio.Path(tmp_path / "runs/a.lock")
    await lock.write_text(f"{os.getppid()}\n")

    async def is_running() -> bool:
        facts = await (await service.get("/v1/runs/a")).json()
        return (facts["state"], facts["command"]) == ("running", None)

    await until(is_running)


async def test_progress_comes_as_events(service: Service) -> None:
    await _define(service)
    timeout = ClientTimeout(total=60)
    async with service.client.get("/v1/runs/a/progress", timeout=timeout) as events:
        assert events.content_type == "text/event-stream"
        assert await events.content.readuntil(b"\n\n") != b""
        assert (await service.ask("PATCH", _GOAL, json={"target": 8})).status == HTTPStatus.OK
        while b'"target":8' not in await events.content.readuntil(b"\n\n"):
            pass


async def test_the_document_describes_every_route(service: Service) -> None:
    document = await (await service.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    goal = document["components"]["schemas"]["GoalChange"]
    assert goal["additionalProperties"] is False
    assert {"target", "paused", "rpm"} <= goal["properties"].keys()
