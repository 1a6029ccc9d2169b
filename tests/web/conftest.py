"""Fixtures of the live service, and a Chromium for all tests that need one."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.web.service import TOKENS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker of pytest-xdist run all tests with a browser: two of them would be slower than one."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


# Not for the whole session: its event loop would be that of all later tests, with whatever they leave behind in it.
@pytest.fixture(scope="module")
async def chromium(anyio_backend: str) -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("SEEDSTREAM_REQUIRE_BROWSER"):  # noqa: TID251 - said by whoever runs the tests, not by a user
            pytest.fail("expected `chromium` on the PATH, as SEEDSTREAM_REQUIRE_BROWSER is set; found none")
        pytest.skip("needs `chromium` on the PATH (apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """Return a file with a token of each scope."""
    path = tmp_path / "tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return path
