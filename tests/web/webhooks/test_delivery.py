"""Webhooks: each finished task reaches the receiver, signed, in order, and from where the last process ended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from yarl import URL

from service.lm.backoff import Backoff
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import WebhookDelivered
from service.messaging.offset_vector import parse_vector
from service.web.webhooks.configuration import Webhook
from service.web.webhooks.delivery import opened_session
from service.web.webhooks.positions import delivered_until
from service.web.webhooks.sender import WebhookSender
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, read, send, until
from tests.web.webhooks.receiver import SECRET, Receiver, receiving

pytestmark = pytest.mark.anyio

AT_ONCE = Backoff(base_s=0.0, cap_s=0.0)


def hook(receiver: Receiver, **fields: object) -> Webhook:
    return Webhook(**{"name": "archive", "run": RUN, "url": URL(receiver.url), "secret": SECRET, **fields})  # type: ignore[arg-type]


async def finish(broker: Broker, first: int, count: int) -> None:
    await send(broker, *(examples.finished(number) for number in range(first, first + count)))


@asynccontextmanager
async def sending(broker: Broker, webhook: Webhook) -> AsyncIterator[WebhookSender]:
    """Run a sender inside the block, and stop it in order at its end."""
    async with opened_session() as session:
        sender = WebhookSender(webhook, broker, session)
        sender.postman.backoff = AT_ONCE
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sender.run)
                yield sender
                sender.stop()


async def test_every_task_is_delivered_once_and_in_order(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, receiving() as receiver:
        await create(broker)
        await finish(broker, 0, 7)
        async with sending(broker, hook(receiver, batch=3)):
            await receiver.until(lambda: len(receiver.numbers) == 7)
            await finish(broker, 7, 2)
            await receiver.until(lambda: len(receiver.numbers) == 9)
        assert receiver.numbers == list(range(9))
        assert receiver.unsigned == 0
        assert all(len(each["tasks"]) <= 3 and each["run"] == RUN for each in receiver.taken)
        assert await delivered_until(broker, RUN, "archive") == parse_vector(receiver.taken[-1]["position"])


async def test_a_stopped_sender_delivers_all_that_is_on_the_log(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, receiving() as receiver:
        await create(broker)
        await finish(broker, 0, 5)
        async with sending(broker, hook(receiver)) as sender:
            await receiver.until(lambda: sender.is_active or bool(receiver.came))
        assert receiver.numbers == list(range(5))


async def test_the_next_sender_goes_on_behind_the_last_note(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, receiving() as receiver:
        await create(broker)
        await finish(broker, 0, 4)
        async with sending(broker, hook(receiver)):
            await receiver.until(lambda: len(receiver.numbers) == 4)
        await finish(broker, 4, 3)
        async with sending(broker, hook(receiver, start="now")):
            await receiver.until(lambda: len(receiver.numbers) == 7)
        assert receiver.numbers == list(range(7))


async def test_a_first_sender_may_begin_with_the_next_task(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, receiving() as receiver:
        await create(broker)
        await finish(broker, 0, 4)
        async with sending(broker, hook(receiver, start="now")) as sender:
            await until(broker, lambda: bool(sender.position))
            await finish(broker, 4, 1)
            await receiver.until(lambda: bool(receiver.numbers))
        assert receiver.numbers == [4]


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
async def test_a_refused_delivery_is_repeated_until_taken(open_broker: OpenBroker, status: int) -> None:
    async with open_broker() as broker, receiving() as receiver:
        await create(broker)
        await finish(broker, 0, 3)
        elsewhere = {"Location": "/elsewhere"} if status == 301 else {}
        receiver.refusals = [web.Response(status=status, headers=elsewhere) for _ in range(3)]
        async with sending(broker, hook(receiver)) as sender:
            await receiver.until(lambda: len(receiver.numbers) == 3)
        assert len(receiver.came) == 4
        assert len(set(receiver.came)) == 1, "the repeated delivery has the id of the first"
        assert sender.postman.failing is None
        assert receiver.numbers == [0, 1, 2]


async def test_a_receiver_that_is_away_is_told_as_failing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await finish(broker, 0, 1)
        gone = Receiver(url="http://127.0.0.1:9/none")
        async with opened_session() as session, anyio.create_task_group() as tasks:
            sender = WebhookSender(hook(gone), broker, session)
            sender.postman.backoff = AT_ONCE
            tasks.start_soon(sender.run)
            await until(broker, lambda: sender.postman.failing is not None and sender.postman.failing.attempts > 1)
            assert sender.delivered == 0
            tasks.cancel_scope.cancel()
        assert [each for each in await read(broker, topics.CONTROL) if isinstance(each, WebhookDelivered)] == []


async def test_of_two_senders_one_delivers_and_the_other_takes_over(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, receiving() as receiver:
        await create(broker)
        await finish(broker, 0, 3)
        async with opened_session() as session, anyio.create_task_group() as tasks:
            both = [WebhookSender(hook(receiver), broker, session) for _ in range(2)]
            for each in both:
                tasks.start_soon(each.run)
            await receiver.until(lambda: len(receiver.numbers) == 3)
            first, second = sorted(both, key=lambda each: each.is_active, reverse=True)
            assert (first.is_active, second.is_active) == (True, False)
            first.stop()
            await until(broker, lambda: second.is_active)
            await finish(broker, 3, 2)
            await receiver.until(lambda: len(receiver.numbers) == 5)
            second.stop()
        assert receiver.numbers == list(range(5))
