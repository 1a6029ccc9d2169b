"""Pages of tasks, verdicts and seeds, stories and charts of a finished run, over HTTP."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from service.adapters.sqlite import SqliteBroker
from tests.support.logs import RUN
from tests.web.read_model.run_log import write_run
from tests.web.service import Service, served, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]
_TASKS = 12
_RUN = f"/v1/runs/{RUN}"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with SqliteBroker.open(tmp_path / f"{RUN}.sqlite3") as broker:
        await write_run(broker, _TASKS)
    async with served(tmp_path) as service:

        async def is_read() -> bool:
            page = await _page(service, "tasks", limit=1)
            return bool(page["total"] == _TASKS)

        await until(is_read)
        yield service


async def _page(service: Service, path: str, **query: Any) -> dict[str, Any]:
    answer = await service.get(f"{_RUN}/{path}", params=query)
    assert answer.status == HTTPStatus.OK, await answer.text()
    page: dict[str, Any] = await answer.json()
    return page


async def test_pages_of_tasks_follow_each_other(service: Service) -> None:
    seen, cursor = [], None
    while True:
        page = await _page(service, "tasks", limit=5, order="oldest", **({} if cursor is None else {"cursor": cursor}))
        seen += [each["task"]["task_seq"] for each in page["tasks"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == list(range(_TASKS))


async def test_a_task_of_a_page_has_position_and_time(service: Service) -> None:
    (found,) = (await _page(service, "tasks", limit=1))["tasks"]
    assert found["id"].count("-") == 1
    assert found["finished_at"].endswith("Z")
    story = await _page(service, f"tasks/{found['task']['id']}")
    assert (story["state"], story["instruction"]) == ("finished", found["task"]["instruction"])


async def test_a_story_of_nothing_is_not_found(service: Service) -> None:
    answer = await service.get(f"{_RUN}/tasks/p99.9")
    assert answer.status == HTTPStatus.NOT_FOUND
    assert "p99.9" in (await answer.json())["detail"]


async def test_verdicts_are_listed_by_reason(service: Service) -> None:
    facts = await (await service.get(_RUN)).json()
    accepted = await _page(service, "decisions", reason="accepted", limit=200)
    assert len(accepted["verdicts"]) == facts["candidates"]["accepted"]
    assert {each["reason"] for each in accepted["verdicts"]} == {None}


@pytest.mark.parametrize("reason", ["too_similar", "semantically_similar", ""])
async def test_known_reasons_may_have_no_verdicts(service: Service, reason: str) -> None:
    await _page(service, "decisions", reason=reason)


async def test_an_unknown_reason_is_refused(service: Service) -> None:
    answer = await service.get(f"{_RUN}/decisions?reason=bogus")
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert "expected one of accepted, truncated," in (await answer.json())["detail"]


@pytest.mark.parametrize("query", ["from=live", "after=0-1", "follow=false"])
async def test_a_page_takes_no_parameters_of_streams(service: Service, query: str) -> None:
    answer = await service.get(f"{_RUN}/tasks?{query}")
    assert answer.status == HTTPStatus.BAD_REQUEST
    detail = (await answer.json())["detail"]
    assert query.split("=", maxsplit=1)[0] in detail
    assert "Accept: application/x-ndjson" in detail


@pytest.mark.parametrize("start", ["yesterday", "2026-01-31T12:00:00", "1-0"])
async def test_a_wrong_start_names_what_is_expected(service: Service, start: str) -> None:
    answer = await service.get(f"{_RUN}/tasks?from={start}", headers={"Accept": "application/x-ndjson"})
    assert answer.status == HTTPStatus.BAD_REQUEST
    detail = (await answer.json())["detail"]
    for expected in ("from: expected beginning, live,", "2026-01-31T12:00:00Z", "0-120.1-98", start):
        assert expected in detail


async def test_seeds_are_listed_with_what_came_of_them(service: Service) -> None:
    page = await _page(service, "seeds", limit=10)
    assert page["total"] >= len(page["seeds"]) > 0
    assert {"prompts", "candidates", "accepted", "finished"} <= page["seeds"][0].keys()


@pytest.mark.parametrize("name", ["rejections", "acceptance", "pool", "cost", "diversity"])
async def test_charts_have_values(service: Service, name: str) -> None:
    assert isinstance((await _page(service, f"charts/{name}", points=20))["values"], list)


async def test_an_unknown_chart_is_not_found(service: Service) -> None:
    assert (await service.get(f"{_RUN}/charts/tasks")).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "cursor=-1", "depth=a", "order=best", "min_distance=2", "more=1", "q=a&q=b"],
)
async def test_a_wrong_query_is_refused(service: Service, query: str) -> None:
    answer = await service.get(f"{_RUN}/tasks?{query}")
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.content_type == "application/problem+json"


async def test_the_state_of_a_run_is_that_of_status(service: Service) -> None:
    facts = await (await service.get(_RUN)).json()
    assert facts["finished"] == _TASKS
    assert facts["as_of"].endswith("Z")
    assert (facts["at_work"], facts["model"]) == ({}, None)
    assert facts["pace"] == {"per_minute": None, "left_s": None}
