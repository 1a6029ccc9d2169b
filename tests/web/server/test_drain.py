"""The end of the service, while clients have requests open."""

from http import HTTPStatus
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientSession

from service.settings import load_settings
from service.web.server.start import serving_runs
from tests.web.service import READER, bearer, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]
_DEADLINE_S = 60.0
_EVENT = b"\n\n"


async def test_streams_end_whole_when_the_service_ends(tmp_path: Path) -> None:
    settings = await anyio.to_thread.run_sync(load_settings, {"broker": f"sqlite:{tmp_path}", "web_port": 0})
    with anyio.fail_after(_DEADLINE_S):
        async with ClientSession() as client:
            async with serving_runs(settings, {}) as url:
                defined = await client.post(f"{url}v1/runs", json={"run": "a", "lm_api": "completions"})
                assert defined.status == HTTPStatus.CREATED
                progress = await client.get(f"{url}v1/runs/a/progress")
                first = await progress.content.readuntil(_EVENT)
            assert first.startswith(b"event: progress\n")
            rest = await progress.read()
            assert not rest or rest.endswith(_EVENT)


async def test_progress_ends_with_its_token(tmp_path: Path, tokens: Path) -> None:
    flags = {"broker": f"sqlite:{tmp_path}", "web_port": 0, "web_tokens": tokens}
    settings = await anyio.to_thread.run_sync(load_settings, flags)
    with anyio.fail_after(_DEADLINE_S):
        async with serving_runs(settings, {}) as url, ClientSession(url) as client:
            admin = bearer("admin-token-0123456789")
            await client.post("/v1/runs", json={"run": "a", "lm_api": "completions"}, headers=admin)
            progress = await client.get("/v1/runs/a/progress", headers=bearer(READER))
            await progress.content.readuntil(_EVENT)
            await anyio.Path(tokens).write_text("anna:admin:admin-token-0123456789\n")

            async def is_refused() -> bool:
                answer = await client.get("/v1/runs", headers=bearer(READER))
                return answer.status == HTTPStatus.UNAUTHORIZED

            await until(is_refused)
            await client.patch("/v1/runs/a/goal", json={"target": 9}, headers=admin)
            await progress.read()
            assert progress.content.at_eof()
