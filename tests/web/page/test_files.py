"""The files of the page over HTTP, and rules that all of them keep."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from service.web import page
from tests.web.page.fake_service import FakeService

pytestmark = pytest.mark.anyio

FOLDER = Path(page.__file__).parent
SHELLS = sorted((FOLDER / "static").glob("*.html"))
SCRIPTS = sorted((FOLDER / "static").rglob("*.js"))
CHARTS = sorted((FOLDER / "charts").glob("*.vl.json"))


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        FakeService().serving() as url,
        aiohttp.ClientSession(url, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as session,
    ):
        yield session


@pytest.mark.parametrize("path", ["/", "/login", "/runs/first", "/runs/a%2Fb", "/runs/first/tasks/m-1-0"])
async def test_a_shell_is_sent_with_its_policy(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self' 'sha256-")
        assert "unsafe" not in policy


async def test_a_file_is_sent_once_and_packed(client: aiohttp.ClientSession) -> None:
    async with client.get("/static/style.css") as response:
        plain, tag = await response.read(), response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
    async with client.get("/static/style.css", headers={"Accept-Encoding": "br, gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == plain
    async with client.get("/static/style.css", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with client.get("/static/style.css", headers={"Accept-Encoding": "gzip;q=0"}) as response:
        assert await response.read() == plain


@pytest.mark.parametrize(
    "path",
    [
        "/static/none.js",
        "/static/..%2F__init__.py",
        "/static/js",
        "/static/%00",
        "/charts/none.vl.json",
        "/static/x.py",
    ],
)
async def test_no_other_file_is_found(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize("shell", SHELLS, ids=lambda each: each.stem)
def test_a_shell_has_no_inline_code(shell: Path) -> None:
    text = shell.read_text()
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text) == []
    assert re.findall(r'(?:src|href)="(?!/|#)', text) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda each: each.stem)
def test_a_script_makes_no_markup(script: Path) -> None:
    text = script.read_text()
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text) == []
    for name in re.findall(r'from "\./([^"]+)"', text):
        assert (script.parent / name).is_file()


@pytest.mark.parametrize("chart", CHARTS, ids=lambda each: each.name)
def test_a_chart_asks_for_values_of_the_page(chart: Path) -> None:
    specification = msgspec.json.decode(chart.read_bytes())
    assert specification["data"] == {"name": "values"}
    assert "vega-lite/v6" in specification["$schema"]
