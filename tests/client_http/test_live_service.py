"""The typed calls of the HTTP client, on a real service."""

from pathlib import Path

import pytest

from service.adapters.sqlite import SqliteBroker
from service.client.http import GoalChange, LiveService, NewSeed, ServiceError
from service.errors import ConfigurationError
from service.selfinstruct.tasks import Instance
from tests.support.examples import goal
from tests.support.logs import RUN, send
from tests.web.read_model.run_log import write_run
from tests.web.service import READER, STEERER, served, until
from tests.web.streams.test_of_a_run import begun, finish

pytestmark = pytest.mark.anyio


async def test_runs_and_their_state_are_told(tmp_path: Path) -> None:
    async with begun(tmp_path) as broker, served(tmp_path) as service:
        await send(broker, goal(10))
        await finish(broker, 0, 1)
        async with LiveService.open(str(service.url)) as live:
            state = await live.state(RUN)
            assert [(each.run, each.is_open) for each in await live.runs()] == [(RUN, True)]
    assert (state.run, state.target, state.finished, state.reached, state.paused) == (RUN, 10, 2, False, False)


async def test_a_goal_is_changed_in_part(tmp_path: Path) -> None:
    async with begun(tmp_path) as broker:
        await send(broker, goal(10, max_prompts=7))
    async with served(tmp_path) as service, LiveService.open(str(service.url)) as live:
        changed = await live.change_goal(RUN, GoalChange(target=20, budget_usd=1.5))
        assert (changed.target, changed.budget_usd, changed.max_prompts) == (20, 1.5, 7)
        assert (await live.change_goal(RUN, GoalChange(max_prompts=None, paused=True))).max_prompts is None
        assert (await live.goal(RUN)).paused


async def test_a_seed_is_submitted(tmp_path: Path) -> None:
    seed = NewSeed(instruction="Name a river of Asia.", instances=(Instance("", "Indus"),), id="asia")
    async with begun(tmp_path) as broker:
        await send(broker, goal(10))
    async with served(tmp_path) as service, LiveService.open(str(service.url)) as live:
        assert (await live.add_seed(RUN, seed)).added == ("asia",)


async def test_seeds_and_verdicts_are_read_page_by_page(tmp_path: Path) -> None:
    async with SqliteBroker.open(tmp_path / f"{RUN}.sqlite3") as broker:
        await write_run(broker, 120)
    async with served(tmp_path) as service, LiveService.open(str(service.url)) as live:

        async def is_read() -> bool:
            return len([verdict async for verdict in live.decisions(RUN)]) == 8 * 60

        await until(is_read)
        page = await live.seed_page(RUN, limit=3)
        behind = await live.seed_page(RUN, page.next, limit=3)
        seeds = [seed async for seed in live.seeds(RUN)]
        assert seeds[:6] == [*page.seeds, *behind.seeds]
        assert len({seed.id for seed in seeds}) == page.total == len(seeds)
        verdicts = [verdict async for verdict in live.decisions(RUN)]
        assert len({verdict.id for verdict in verdicts}) == 8 * 60
        similar = [verdict async for verdict in live.decisions(RUN, "too_similar")]
        assert similar == [verdict for verdict in verdicts if verdict.reason == "too_similar"]
        assert similar


async def test_refusals_say_what_mends_them(tmp_path: Path, tokens: Path) -> None:
    async with begun(tmp_path) as broker, served(tmp_path, web_tokens=tokens) as service:
        await send(broker, goal(10))
        async with LiveService.open(str(service.url), READER) as live:
            with pytest.raises(ServiceError, match="scope steer") as forbidden:
                await live.change_goal(RUN, GoalChange(target=20))
            with pytest.raises(ServiceError, match="404 from"):
                await live.goal("other")
        async with LiveService.open(str(service.url), STEERER) as live:
            with pytest.raises(ServiceError, match="409 from"):
                await live.change_goal(RUN, GoalChange(target=20))
    assert (forbidden.value.status, forbidden.value.may_pass) == (403, False)


async def test_an_answer_of_something_else_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as service, LiveService.open(f"{service.url}static/") as live:
        with pytest.raises(ServiceError, match="404 from"):
            await live.runs()
    with pytest.raises(ConfigurationError, match="expected http://HOST:PORT"):
        async with LiveService.open("localhost"):
            pass
