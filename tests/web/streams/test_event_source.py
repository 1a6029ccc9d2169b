"""A real browser follows a stream by itself: `EventSource` comes back after a restart, with its last position."""

from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser, Page

from tests.support.logs import DEADLINE_S
from tests.web.service import served
from tests.web.streams.test_of_a_run import begun, finish

pytestmark = pytest.mark.anyio

_FOLLOW = """() => {
  window.came = [];
  const source = new EventSource("/v1/runs/r/tasks");
  source.addEventListener("task", (event) => window.came.push(JSON.parse(event.data).task_seq));
}"""


async def test_a_browser_gets_each_task_once_over_a_restart(tmp_path: Path, chromium: Browser) -> None:
    page = await chromium.new_page()
    encodings: list[str | None] = []
    page.on("response", lambda response: encodings.append(response.headers.get("content-encoding")))
    async with begun(tmp_path) as broker:
        async with served(tmp_path) as service:
            port = service.url.port
            await page.goto(f"{service.url}livez")
            await page.evaluate(_FOLLOW)
            for seq in range(3):
                await finish(broker, seq)
                await _came(page, seq + 1)
        await finish(broker, 3, 4)
        async with served(tmp_path, web_port=port):
            await _came(page, 5)
            await finish(broker, 5)
            await _came(page, 6)
    assert sorted(await page.evaluate("window.came")) == [0, 1, 2, 3, 4, 5]
    assert encodings[1:] == ["gzip", "gzip"]


async def _came(page: Page, tasks: int) -> None:
    with anyio.fail_after(DEADLINE_S):
        while await page.evaluate("window.came.length") < tasks:  # noqa: ASYNC110 - the page allows no eval
            await anyio.sleep(0.05)
