"""A real browser follows a stream by itself: `EventSource` comes back after a restart, with its last position."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.support.logs import DEADLINE_S
from tests.web.service import served
from tests.web.streams.test_of_a_run import begun, finish

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("browser")]

_FOLLOW = """() => {
  window.came = [];
  const source = new EventSource("/v1/runs/r/tasks");
  source.addEventListener("task", (event) => window.came.push(JSON.parse(event.data).task_seq));
}"""


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs `chromium` on the PATH (apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def test_a_browser_gets_each_task_once_over_a_restart(tmp_path: Path, browser: Browser) -> None:
    page = await browser.new_page()
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
