"""Each page in a browser: whole, quiet, readable by everybody, on every screen."""

import pytest

from tests.web.page.conftest import Visit
from tests.web.page.fake_service import FakeService

pytestmark = pytest.mark.anyio

PAGES = {
    "/": "60 of 2,000 tasks",
    "/login": "Access token",
    "/runs/first": "Seed task number 7.",
    "/runs/first/tasks/m-5-0": "Candidates of the same prompt",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_and_accessible(visit: Visit, path: str, scheme: str) -> None:
    visitor = await visit(path, color_scheme=scheme)
    await visitor.shows(PAGES[path])
    for summary in await visitor.page.locator("summary:visible").all():
        await summary.click()
    assert await visitor.breaches() == []
    assert visitor.complaints == []


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_fits_a_phone(visit: Visit, path: str) -> None:
    visitor = await visit(path, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    await visitor.shows(PAGES[path])
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") == 360


async def test_charts_are_drawn_with_tables_beside_them(visit: Visit) -> None:
    visitor = await visit("/runs/first", viewport={"width": 1300, "height": 3000})
    await visitor.page.locator("figure svg").nth(6).wait_for()
    first = visitor.page.locator("figure").first
    await first.locator("summary").click()
    assert "too similar" in await first.locator("table").inner_text()
    assert visitor.complaints == []


async def test_tables_stand_alone_without_vega(visit: Visit, fake: FakeService) -> None:
    fake.has_vega = False
    visitor = await visit("/runs/first", viewport={"width": 1300, "height": 3000})
    await visitor.shows("Charts need the extra")
    await visitor.page.locator("figure summary").nth(2).click()
    assert "In the pool" in await visitor.page.locator("figure table").nth(2).inner_text()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ending": {"how": "target_reached", "detail": ""}}, ("ended", "the target is reached")),
        ({"ending": {"how": "of_tomorrow", "detail": "why"}}, ("ended", "of tomorrow: why")),
        ({"paused": True}, ("paused", "No call begins.")),
        ({"stalled": {"worked_on": True, "seconds": 90, "waiting_for": {"admit": 3}}}, ("stalled", "admit: 3")),
        (
            {"state": "not_running", "command": "seedstream run --run a"},
            ("not running", "seedstream run --run a works"),
        ),
        (
            {"state": "undefined", "command": "seedstream goal --run a", "recipe": None},
            ("no goal yet", "seedstream goal"),
        ),
        ({"cost_usd": None, "known_cost_usd": 2.5}, ("running", "over $2.50")),
        ({"at_work": {}, "lag": {}, "model": None}, ("running", "nobody at work")),
    ],
)
async def test_states_of_a_run(
    visit: Visit, fake: FakeService, changes: dict[str, object], told: tuple[str, str]
) -> None:
    fake.run.changes = changes
    visitor = await visit("/runs/first")
    await visitor.page.locator("#state", has_text=told[0]).wait_for()
    await visitor.shows(told[1])
    assert visitor.complaints == []


async def test_search_is_in_the_address(visit: Visit) -> None:
    visitor = await visit("/runs/first?q=number+7.")
    await visitor.page.locator("#found", has_text="1 task found").wait_for()
    assert await visitor.page.locator("#results").get_attribute("aria-busy") is None
    await visitor.page.locator("#q").fill("")
    await visitor.page.locator("#found", has_text="60 tasks found").wait_for()
    await visitor.page.get_by_role("button", name="Next").click()
    await visitor.page.locator("#pager", has_text="page 2").wait_for()
    assert await visitor.page.locator("#results li").count() == 10
    await visitor.page.locator("#order").select_option("oldest")
    await visitor.page.wait_for_url("**?order=oldest")


async def test_the_keyboard_reaches_a_task(visit: Visit) -> None:
    visitor = await visit("/runs/first")
    await visitor.page.locator("#list li").first.wait_for()
    await visitor.page.keyboard.press("Tab")
    assert await visitor.page.evaluate("document.activeElement.className") == "skip"
    await visitor.page.keyboard.press("Enter")
    for _ in range(40):
        await visitor.page.keyboard.press("Tab")
        if await visitor.page.evaluate("document.activeElement.closest('#list') !== null"):
            break
    await visitor.page.keyboard.press("Enter")
    await visitor.page.wait_for_url("**/runs/first/tasks/m-59-0")
    await visitor.page.locator("h1", has_text="Task m-59-0").wait_for()


async def test_an_unknown_run_is_told_with_its_command(visit: Visit) -> None:
    visitor = await visit("/runs/none")
    await visitor.shows("there is no such run")
    await visitor.page.locator("code.command", has_text="seedstream run").wait_for()
