"""The page before the whole service: a run of the simulator, behind tokens."""

import os
import sys
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser

from tests.web.page.conftest import open_page
from tests.web.service import STEERER, served

pytestmark = pytest.mark.anyio

_ROOT = Path(__file__).parents[3]
_MADE_WITHIN_S = 100
_PATIENCE_MS = 60_000
_RUN = ("run", "--run", "a", "--lm", "simulator", "--target", "12")


@pytest.mark.timeout(240)
async def test_the_service_fills_every_page(chromium: Browser, tmp_path: Path, tokens: Path) -> None:
    command = [sys.executable, "-m", "service", *_RUN, "--broker", f"sqlite:{tmp_path}"]
    with anyio.fail_after(_MADE_WITHIN_S):
        await anyio.run_process(command, cwd=tmp_path, env={"PYTHONPATH": str(_ROOT), "PATH": os.defpath})
    async with (
        served(tmp_path, web_tokens=tokens) as service,
        open_page(chromium, str(service.url.origin()), "/runs/a", viewport={"width": 1300, "height": 3000}) as visitor,
    ):
        page = visitor.page
        page.set_default_timeout(_PATIENCE_MS)
        await page.get_by_label("Access token").fill(STEERER)
        await page.get_by_role("button", name="Log in").click()
        await page.locator("#state", has_text="ended").wait_for()
        visitor.complaints.clear()  # the browser tells of the 401 that led to the login
        await page.get_by_role("button", name="Log out").wait_for()
        await page.locator("#list li").nth(11).wait_for()
        await page.locator("#verdict-list li").first.wait_for()
        await page.locator("#seeds-table tbody tr").first.wait_for()
        await page.locator("figure svg").nth(5).wait_for()  # all but that of costs, which are unknown
        await page.locator("#q").fill("the")
        await page.locator("#found", has_text="found").wait_for()
        assert await visitor.breaches() == []
        await page.locator("#list li a").first.click()
        for title in ("Instruction", "Candidates of the same prompt", "Completion", "Calls"):
            await page.get_by_role("heading", name=title, exact=True).wait_for()
        await page.locator("svg.family").wait_for()
        assert await visitor.breaches() == []
        assert visitor.complaints == []
