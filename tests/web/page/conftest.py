"""A Chromium for all tests of the page, and the fake service that they look at."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.web.page.fake_service import FakeService
from tests.web.page.made_run import MadeRun

_AXE = Axe()
_PATIENCE_MS = 60_000


@dataclass
class Visitor:
    """A page of the browser, and all that its console complained about."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def shows(self, text: str) -> None:
        """Wait until a text is in the page."""
        await self.page.get_by_text(text).first.wait_for()

    async def breaches(self) -> list[str]:
        """Return the rules of accessibility that the page breaks, with the first element of each."""
        found = await _AXE.run(self.page)
        return [f"{each['id']}: {each['nodes'][0]['html'][:300]}" for each in found.response["violations"]]


Visit = Callable[..., Coroutine[Any, Any, Visitor]]


@asynccontextmanager
async def open_page(browser: Browser, url: str, path: str, **options: Any) -> AsyncIterator[Visitor]:
    """Open a page of a service in a context of its own; options are those of a browser context."""
    context = await browser.new_context(**options)
    try:
        page = await context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        visitor = Visitor(page, url)
        page.on("console", lambda said: _note(visitor, said.type, said.text))
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        await visitor.go(path)
        yield visitor
    finally:
        await context.close()


@pytest.fixture
def fake() -> FakeService:
    run = MadeRun()
    run.add(60)
    return FakeService(run=run)


@pytest.fixture
async def visit(chromium: Browser, fake: FakeService) -> AsyncIterator[Visit]:
    """Open pages of the fake service."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(fake.serving())

        async def visit_page(path: str, **options: Any) -> Visitor:
            return await stack.enter_async_context(open_page(chromium, url, path, **options))

        yield visit_page


def _note(visitor: Visitor, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visitor.complaints.append(text)
