"""Follows the tasks of a run for one webhook, and delivers them in order.

Of several processes with the same webhook, one is elected to deliver; the others stand by. The position is noted every
few seconds. A process that is killed delivers the tasks of these seconds again: delivery is at least once, and `id`
tells a receiver which tasks it has.
"""

from collections.abc import Callable, Sequence
from random import Random

import aiohttp
import anyio
import structlog

from service.client import Delivery, Start, Subscription, Tasks, ends_of
from service.errors import BrokerError, FencedError, NewerVersionError
from service.messaging.broker import Broker
from service.messaging.offset_vector import later_of, vector_text
from service.messaging.topics import TASKS
from service.runtime.leader_election import LeaderElection
from service.web.webhooks.configuration import Webhook
from service.web.webhooks.delivery import Postman
from service.web.webhooks.positions import delivered_until, note_delivered

_NOTE_EVERY_S = 5.0
_NOTE_WITHIN_S = 10.0
_AGAIN_AFTER_S = 5.0
_LARGEST_BODY = 1024 * 1024

log = structlog.get_logger()


class WebhookSender:
    """Delivers the tasks of a run to one webhook. `delivered` counts the tasks since this process began."""

    def __init__(self, webhook: Webhook, broker: Broker, session: aiohttp.ClientSession) -> None:
        self.webhook = webhook
        self.postman = Postman(webhook, session, Random())  # noqa: S311 - spreads retries, keeps no secret
        self.delivered = 0
        self.position: dict[int, int] = {}
        self.is_active = False
        self._broker = broker
        self._noted: dict[int, int] | None = None
        self._stop = anyio.Event()

    def stop(self) -> None:
        """Deliver the tasks that are on the log now, and end."""
        self._stop.set()

    async def run(self) -> None:
        """Deliver until stopped; after an error of the log, begin again where the note on it says."""
        while not self._stop.is_set():
            try:
                await self._stand_and_deliver()
            except* (BrokerError, FencedError, NewerVersionError) as group:
                webhook = self.webhook
                log.warning(
                    "webhook.interrupted", run=webhook.run, webhook=webhook.name, error=str(group.exceptions[0])
                )
                with anyio.move_on_after(_AGAIN_AFTER_S):
                    await self._stop.wait()
            finally:
                self.is_active = False

    async def _stand_and_deliver(self) -> None:
        webhook = self.webhook
        election = LeaderElection(self._broker, webhook.run, f"webhook.{webhook.name}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(election.stand)
            while not self._stop.is_set() and not await election.wait(1.0):
                pass
            if election.won:
                self.is_active = True
                await self._deliver(election.check)
            tasks.cancel_scope.cancel()

    async def _deliver(self, check: Callable[[], None]) -> None:
        webhook = self.webhook
        noted = await delivered_until(self._broker, webhook.run, webhook.name)
        ends = await ends_of(self._broker, TASKS.of(webhook.run))
        start: Start = "beginning" if noted is None else noted
        self._noted = noted
        self.position = dict(noted or {})
        if noted is None and webhook.start == "now":
            start = self.position = {partition.number: end for partition, end in ends.items()}
        async with (
            Tasks.of(self._broker, webhook.run, Subscription(start=start)) as stream,
            anyio.create_task_group() as beside,
        ):
            beside.start_soon(self._note_now_and_then)
            beside.start_soon(self._end_when_stopped, stream)
            try:
                await self._deliver_all(stream, check)
            finally:
                with anyio.move_on_after(_NOTE_WITHIN_S, shield=True):
                    await self._note()
            beside.cancel_scope.cancel()

    async def _deliver_all(self, stream: Tasks, check: Callable[[], None]) -> None:
        while taken := await stream.take(self.webhook.batch):
            for batch in _fitting(taken):
                check()
                offsets = {each.record.partition.number: each.record.offset + 1 for each in batch}
                behind = later_of(self.position, offsets)
                await self.postman.deliver(batch, vector_text(behind))
                self.position = behind
                self.delivered += len(batch)

    async def _end_when_stopped(self, stream: Tasks) -> None:
        await self._stop.wait()
        stream.end_at(await ends_of(self._broker, TASKS.of(self.webhook.run)))

    async def _note_now_and_then(self) -> None:
        while True:
            await anyio.sleep(_NOTE_EVERY_S)
            await self._note()

    async def _note(self) -> None:
        """Note the position, if it is another one than that of the last note."""
        position = self.position
        if position != (self._noted or {}):
            await note_delivered(self._broker, self.webhook.run, self.webhook.name, position)
            self._noted = position


def _fitting(taken: Sequence[Delivery]) -> list[list[Delivery]]:
    """Return the tasks in requests of at most a megabyte, or a single task each."""
    batches: list[list[Delivery]] = [[]]
    size = 0
    for each in taken:
        length = len(each.record.value or b"")
        if batches[-1] and size + length > _LARGEST_BODY:
            batches.append([])
            size = 0
        batches[-1].append(each)
        size += length
    return batches
