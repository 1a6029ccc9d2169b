"""Text of a model stays text, whatever it holds."""

import pytest

from tests.web.page.conftest import Visit, Visitor
from tests.web.page.fake_service import FakeService
from tests.web.page.made_run import HOSTILE, task

pytestmark = pytest.mark.anyio

NUMBER = 60
# No script of the page makes such an element, and no link leads elsewhere.
INTRUDERS = """
[...document.querySelectorAll('main script, main img, main iframe, main style, a')].filter(
  (each) => each.tagName !== 'A' && each.tagName !== 'a' || !/^[/#]/.test(each.getAttribute('href'))
).length
"""


@pytest.mark.timeout(300)
async def test_hostile_text_stays_text(visit: Visit, fake: FakeService) -> None:
    fake.run.tasks += [task(NUMBER + at, text, output=text) for at, text in enumerate(HOSTILE)]
    visitor = await visit("/runs/first", viewport={"width": 360, "height": 740})
    await visitor.page.locator("#list li").nth(len(HOSTILE) - 1).wait_for()
    await check(visitor)
    for number in range(NUMBER, NUMBER + len(HOSTILE)):
        await visitor.go(f"/runs/first/tasks/m-{number}-0")
        await visitor.page.locator("#story section").first.wait_for()
        await check(visitor)


async def check(visitor: Visitor) -> None:
    """Check that a page has no foreign element, has its own title and width, and that all of it is short."""
    assert await visitor.page.evaluate(INTRUDERS) == 0
    assert "broken" not in await visitor.page.title()
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") == 360
    # A megabyte is not laid out unless somebody asks for it.
    assert len(await visitor.page.locator("body").inner_text()) < 60_000
    assert visitor.complaints == []


async def test_characters_that_hide_are_shown(visit: Visit, fake: FakeService) -> None:
    fake.run.tasks.append(task(NUMBER, "a\u202eb\x00\x00\x00c\u200b \U0001f469\u200d\U0001f52c"))
    visitor = await visit(f"/runs/first/tasks/m-{NUMBER}-0")
    lead = visitor.page.locator(".lead")
    await lead.wait_for()
    assert await lead.inner_text() == "aU+202EbU+0000 and 2 morecU+200B \U0001f469\u200d\U0001f52c"


async def test_a_direction_does_not_leak_out_of_a_text(visit: Visit, fake: FakeService) -> None:
    fake.run.tasks.append(task(NUMBER, "\u202e\u05d0\u05d1\u05d2 abc"))
    visitor = await visit("/runs/first")
    row = visitor.page.locator("#list li").first
    await row.wait_for()
    assert await row.evaluate("(each) => getComputedStyle(each).direction") == "ltr"
    assert await row.locator("bdi").first.evaluate("(each) => getComputedStyle(each).unicodeBidi") == "isolate"


async def test_a_long_text_is_shown_in_parts(visit: Visit, fake: FakeService) -> None:
    fake.run.tasks.append(task(NUMBER, "x" * 250_000))
    visitor = await visit(f"/runs/first/tasks/m-{NUMBER}-0")
    lead = visitor.page.locator(".lead")
    await lead.get_by_role("button", name="Show 100,000 more characters").click()
    await lead.get_by_role("button", name="Show 100,000 more characters").click()
    await lead.get_by_role("button", name="Show all").click()
    await lead.get_by_role("button").wait_for(state="detached")
    assert await lead.inner_text() == "x" * 250_000


async def test_words_in_common_are_counted_in_characters(visit: Visit, fake: FakeService) -> None:
    fake.run.tasks.append(task(NUMBER, "\U0001f33f Write it."))
    fake.run.nearest_ranges = [[2, 7]]
    visitor = await visit(f"/runs/first/tasks/m-{NUMBER}-0")
    assert await visitor.page.locator("mark").first.inner_text() == "Write"
