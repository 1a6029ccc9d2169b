"""Delivery of one batch of tasks: a signed POST, repeated until the receiver has taken it."""

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import aiohttp
import anyio
import structlog
from anyio import to_thread
from msgspec import Struct

from service.client import Delivery
from service.lm.backoff import Backoff, retry_after_s, wait_before_retry_s
from service.web.webhooks.configuration import Webhook
from service.web.webhooks.signature import signed_headers

_TIMEOUT_S = 30.0
_BACKOFF = Backoff(base_s=1.0, cap_s=300.0)
_GOOD = range(200, 300)

log = structlog.get_logger()


class Failing(Struct, frozen=True):
    """A delivery that does not get through: since when, how often it was tried, and how it failed last."""

    since: datetime
    attempts: int
    reason: str


@dataclass(eq=False, slots=True)
class Postman:
    """Posts batches of one webhook, one after the other. `failing` is set while the receiver does not take one."""

    webhook: Webhook
    session: aiohttp.ClientSession
    random: Random
    backoff: Backoff = _BACKOFF
    failing: Failing | None = None

    async def deliver(self, batch: Sequence[Delivery], position: str) -> None:
        """Post a batch until the receiver has taken it; `position` is that behind its last task."""
        webhook = self.webhook
        body = _body(webhook, batch, position)
        delivery = f"{webhook.run}.{webhook.name}.{batch[0].task.task_seq}-{batch[-1].task.task_seq}"
        while (failed := await self._post(delivery, body)) is not None:
            reason, asked_s = failed
            failing = self._note(reason)
            backoff_s = self.backoff.delay_s(failing.attempts - 1, self.random)
            await anyio.sleep(wait_before_retry_s(backoff_s, asked_s))
        if self.failing is not None:
            log.info("webhook.recovered", run=webhook.run, webhook=webhook.name, attempts=self.failing.attempts + 1)
            self.failing = None

    async def _post(self, delivery: str, body: bytes) -> tuple[str, float | None] | None:
        """Post once. Returns the reason of a failure and the wait that the receiver asks for; None if it was taken.

        A redirection is a failure: it would lead to an address that nobody has named.
        """
        headers = {"Content-Type": "application/json", "User-Agent": "seedstream"}
        headers |= signed_headers(self.webhook.secret, delivery, int(time.time()), body)
        try:
            async with self.session.post(
                self.webhook.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status in _GOOD:
                    return None
                return f"status {response.status}", retry_after_s(response.headers, datetime.now(UTC))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__, None

    def _note(self, reason: str) -> Failing:
        """Count a failure, say so once for each reason, and return the failures of this delivery."""
        before = self.failing
        if before is None or before.reason != reason:
            webhook = self.webhook
            log.warning("webhook.failing", run=webhook.run, webhook=webhook.name, to=webhook.place, reason=reason)
        since = datetime.now(UTC) if before is None else before.since
        self.failing = Failing(since, 1 if before is None else before.attempts + 1, reason)
        return self.failing


def _body(webhook: Webhook, batch: Sequence[Delivery], position: str) -> bytes:
    """Return the JSON of a batch, with each task as it is on the log."""
    tasks = b",".join(each.record.value or b"null" for each in batch)
    return b'{"webhook":"%s","run":"%s","position":"%s","tasks":[%s]}' % (
        webhook.name.encode(),
        webhook.run.encode(),
        position.encode(),
        tasks,
    )


@asynccontextmanager
async def opened_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open an HTTP session without cookies, proxies or redirections."""
    trusted = await to_thread.run_sync(ssl.create_default_context)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
    ) as session:
        yield session
