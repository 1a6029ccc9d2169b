"""Tasks as they happen: bounded, smooth, in order, and without a gap after a restart."""

import json
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser

from tests.web.page.conftest import Visit
from tests.web.page.fake_service import FakeService

pytestmark = pytest.mark.anyio

PER_SECOND = 100
SECONDS = 6
LONG_MS = 50


async def test_new_tasks_are_drawn_first_in_the_list(visit: Visit, fake: FakeService) -> None:
    visitor = await visit("/runs/first")
    await visitor.shows("live; the last 200 are shown")
    fake.run.add(instruction="The newest one.")
    fake.beat()
    await visitor.page.locator("#list li", has_text="The newest one.").wait_for()
    assert "The newest one." in await visitor.page.locator("#list li").first.inner_text()
    assert await visitor.page.locator("#list li").count() == 51


async def test_a_paused_list_waits_and_goes_on(visit: Visit, fake: FakeService) -> None:
    visitor = await visit("/runs/first")
    await visitor.shows("live; the last 200 are shown")
    await visitor.page.get_by_role("button", name="Pause the list").click()
    fake.run.add(3, "While it was paused.")
    fake.beat()
    await visitor.page.get_by_role("button", name="Show 3 new tasks").wait_for()
    assert await visitor.page.locator("#list li", has_text="While it was paused.").count() == 0
    await visitor.page.get_by_role("button", name="Pause the list").click()
    await visitor.page.locator("#list li", has_text="While it was paused.").nth(2).wait_for()


async def test_a_list_with_the_focus_holds_still(visit: Visit, fake: FakeService) -> None:
    visitor = await visit("/runs/first")
    await visitor.shows("live; the last 200 are shown")
    await visitor.page.locator("#list a").nth(3).focus()
    fake.run.add(2)
    fake.beat()
    await visitor.page.get_by_role("button", name="Show 2 new tasks").click()
    assert await visitor.page.locator("#list li").count() == 52
    assert await visitor.page.locator("#list li a").first.evaluate("(each) => each === document.activeElement")


async def test_no_task_is_lost_by_a_restart(chromium: Browser, fake: FakeService) -> None:
    page = await chromium.new_page()
    async with fake.serving() as url:
        await page.goto(f"{url}/runs/first")
        await page.get_by_text("live; the last 200 are shown").wait_for()
    await page.get_by_text("waiting for the service").wait_for()
    fake.run.add(20)
    async with fake.serving(port=int(url.rpartition(":")[2])):
        await page.get_by_text("live; the last 200 are shown").wait_for()
        fake.run.add(20)
        fake.beat()
        await page.locator("#list li").nth(89).wait_for()
        links = await page.locator("#list li > a").evaluate_all("(all) => all.map((each) => each.pathname)")
        await page.close()
    assert links == [f"/runs/first/tasks/m-{number}-0" for number in range(99, 9, -1)]
    assert fake.streams[-1] == "after=0-60"


@pytest.mark.timeout(180)
async def test_a_fast_stream_leaves_the_page_responsive(
    visit: Visit, chromium: Browser, fake: FakeService, tmp_path: Path
) -> None:
    visitor = await visit("/runs/first", viewport={"width": 1300, "height": 480})
    await visitor.shows("live; the last 200 are shown")
    trace = tmp_path / "trace.json"
    await chromium.start_tracing(
        page=visitor.page, path=trace, categories=["toplevel", "devtools.timeline", "__metadata"]
    )
    with anyio.fail_after(60):
        for _ in range(PER_SECOND * SECONDS // 10):
            fake.run.add(10)
            fake.beat()
            await anyio.sleep(10 / PER_SECOND)
    newest = f"/runs/first/tasks/m-{60 + PER_SECOND * SECONDS - 1}-0"
    await visitor.page.locator(f'#list a[href="{newest}"]').wait_for()
    await chromium.stop_tracing()
    assert await visitor.page.locator("#list li").count() == 200
    assert await visitor.page.evaluate("document.getElementsByTagName('*').length") < 3_000
    longest = max(longest_tasks(await anyio.to_thread.run_sync(trace.read_bytes)))
    assert longest < LONG_MS, f"a task of the main thread took {longest} ms of its processor time"


def longest_tasks(trace: bytes) -> list[float]:
    """Return the milliseconds of processor time that each task of a page's main thread took.

    The time that other programs took from the processor meanwhile is not in it.
    """
    events = json.loads(trace)["traceEvents"]
    mains = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    found = []
    for each in events:
        if each["name"].endswith("RunTask") and (each["pid"], each["tid"]) in mains:
            with suppress(KeyError):
                found.append(each["tdur"] / 1000)
    return found
