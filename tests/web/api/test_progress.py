"""The events of a run's progress at the end of the service."""

from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.web.service import served
from tests.web.streams.test_of_a_run import begun, finish

pytestmark = pytest.mark.anyio


async def test_the_last_event_of_progress_is_at_the_end_of_the_log(tmp_path: Path) -> None:
    async with begun(tmp_path) as broker, ClientSession() as session:
        async with served(tmp_path) as service:
            events = await session.get(f"{service.url}v1/runs/r/progress")
            assert b'"finished":0' in await events.content.readuntil(b"\n\n")
            await finish(broker, 0, 1, 2)
        assert b'"finished":3' in (await events.read()).split(b"\n\n")[-2]
