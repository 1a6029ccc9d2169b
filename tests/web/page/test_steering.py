"""Steering a run from the page, and logging in."""

import pytest

from tests.web.page.conftest import Visit
from tests.web.page.fake_service import FakeService

pytestmark = pytest.mark.anyio


async def test_a_new_target_is_sent_alone(visit: Visit, fake: FakeService) -> None:
    visitor = await visit("/runs/first")
    await visitor.page.get_by_text("Target and limits").click()
    await visitor.page.get_by_label("Target, in finished tasks").fill("3000")
    await visitor.page.get_by_role("button", name="Save").click()
    await visitor.page.locator("#goal-outcome", has_text="Saved.").wait_for()
    assert fake.run.patches == [{"target": 3000}]
    await visitor.shows("of 3,000 tasks")


async def test_a_run_is_paused_and_goes_on(visit: Visit, fake: FakeService) -> None:
    visitor = await visit("/runs/first")
    await visitor.page.get_by_role("button", name="Pause the run").click()
    await visitor.page.locator("#state", has_text="paused").wait_for()
    await visitor.page.get_by_role("button", name="Resume the run").click()
    await visitor.page.locator("#state", has_text="running").wait_for()
    assert fake.run.patches == [{"paused": True}, {"paused": False}]


@pytest.mark.parametrize("text", ["", "-1", "1.5"])
async def test_a_target_that_is_none_is_not_sent(visit: Visit, fake: FakeService, text: str) -> None:
    visitor = await visit("/runs/first")
    await visitor.page.get_by_text("Target and limits").click()
    await visitor.page.get_by_label("Target, in finished tasks").fill(text)
    await visitor.page.get_by_role("button", name="Save").click()
    await visitor.shows("needs a whole number of at least 0")
    assert fake.run.patches == []


async def test_a_refused_change_is_told_with_its_command(visit: Visit, fake: FakeService) -> None:
    fake.refuses_writes = True
    visitor = await visit("/runs/first")
    await visitor.page.get_by_role("button", name="Pause the run").click()
    await visitor.page.locator("#goal-outcome", has_text="process 17 works on run").wait_for()
    await visitor.page.locator("#goal-outcome code", has_text="seedstream run --run first --web").wait_for()


async def test_a_reader_sees_no_controls(visit: Visit, fake: FakeService) -> None:
    fake.scope = "read"
    visitor = await visit("/runs/first")
    await visitor.shows("Seed task number 7.")
    for text in ("Target and limits", "Add a seed task", "Pause the run"):
        assert not await visitor.page.get_by_text(text).first.is_visible()


async def test_a_seed_is_submitted(visit: Visit, fake: FakeService) -> None:
    visitor = await visit("/runs/first")
    await visitor.page.get_by_text("Add a seed task").click()
    await visitor.page.get_by_label("Instruction", exact=True).fill("Name a river.")
    await visitor.page.get_by_label("Output", exact=True).fill("The Rhine")
    await visitor.page.get_by_role("button", name="Add the seed").click()
    await visitor.shows("The seed is submitted.")
    instances = [{"input": "", "output": "The Rhine"}]
    assert fake.run.patches == [{"instruction": "Name a river.", "instances": instances, "is_classification": False}]


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("/runs/first", "/runs/first"),
        ("/login?next=//evil.example/", "/"),
        ("/login?next=https://evil.example/", "/"),
        ("/login?next=javascript:alert(1)", "/"),
    ],
)
async def test_a_token_leads_back_to_the_page(visit: Visit, fake: FakeService, path: str, after: str) -> None:
    fake.scope = None
    visitor = await visit(path)
    await visitor.page.get_by_label("Access token").fill("wrong-token-of-tests")
    await visitor.page.get_by_role("button", name="Log in").click()
    await visitor.shows("expected one of the tokens")
    await visitor.page.get_by_label("Access token").fill("right-token-of-tests")
    await visitor.page.get_by_role("button", name="Log in").click()
    await visitor.page.wait_for_url(f"{visitor.url}{after}")
