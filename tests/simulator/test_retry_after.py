import time
from dataclasses import replace
from email.utils import parsedate_to_datetime

import anyio
import pytest

from service.simulator.retry_after import RetryAfterForm, retry_after
from tests.simulator.client import HELD, PLAIN, PROMPT, connected, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("form", "wait_s", "header"),
    [
        (RetryAfterForm.SECONDS, 2.0, {"Retry-After": "2"}),
        (RetryAfterForm.SECONDS, 0.0301, {"Retry-After": "0.031"}),
        (RetryAfterForm.MS, 0.5, {"retry-after-ms": "500"}),
        (RetryAfterForm.MS, 0.0301, {"retry-after-ms": "31"}),
        (RetryAfterForm.ZERO, 2.0, {"Retry-After": "0"}),
        (RetryAfterForm.NEGATIVE, 2.0, {"Retry-After": "-1"}),
        (RetryAfterForm.NONE, 2.0, {}),
    ],
)
def test_each_form_of_retry_after_is_written(form: RetryAfterForm, wait_s: float, header: dict[str, str]) -> None:
    assert retry_after(form, wait_s) == header


def test_a_date_is_not_before_the_end_of_the_wait() -> None:
    before = time.time()
    date = retry_after(RetryAfterForm.DATE, 30.5)["Retry-After"]
    assert date.endswith(" GMT")
    assert before + 30.5 <= parsedate_to_datetime(date).timestamp() <= time.time() + 31.5


async def test_a_full_queue_asks_to_wait_in_the_same_form() -> None:
    options = replace(
        HELD, max_num_seqs=1, max_waiting_queue_length=0, retry_after_s=0.25, retry_after_form=RetryAfterForm.MS
    )
    async with connected(options) as client, anyio.create_task_group() as clients:
        clients.start_soon(client.complete, PROMPT)
        await until(lambda: client.simulator.capacity.running == 1)
        refused = await client.complete(PROMPT)
        clients.cancel_scope.cancel()
    assert (refused.status, refused.headers["retry-after-ms"]) == (429, "250")
    assert "Retry-After" not in refused.headers


async def test_a_forced_429_asks_to_wait_in_the_same_form() -> None:
    async with connected(replace(PLAIN, retry_after_form=RetryAfterForm.NEGATIVE)) as client:
        assert (await client.fail("rate_limit")).headers["Retry-After"] == "-1"
