"""The senders of all webhooks of this process."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio

from service.errors import ConfigurationError
from service.messaging.broker import Broker
from service.web.webhooks.configuration import Webhook
from service.web.webhooks.delivery import opened_session
from service.web.webhooks.sender import WebhookSender

_ENDS_WITHIN_S = 10.0


@asynccontextmanager
async def delivering(
    webhooks: Sequence[Webhook], writer: Callable[[str], Broker | None]
) -> AsyncIterator[list[WebhookSender]]:
    """Deliver inside the block; at its end, the tasks that are on the log are delivered within some seconds.

    `writer` returns the log of a run if this process may write it, which positions need.

    Raises:
        ConfigurationError: the log of a run cannot be written here.
    """
    if not webhooks:
        yield []
        return
    async with opened_session() as session, anyio.create_task_group() as tasks:
        senders = [WebhookSender(each, _log_of(each, writer), session) for each in webhooks]
        for sender in senders:
            tasks.start_soon(sender.run)
        yield senders
        for sender in senders:
            sender.stop()
        tasks.cancel_scope.deadline = anyio.current_time() + _ENDS_WITHIN_S


def _log_of(webhook: Webhook, writer: Callable[[str], Broker | None]) -> Broker:
    broker = writer(webhook.run)
    if broker is None:
        raise ConfigurationError(
            f"web_webhooks: [{webhook.name}]: expected a run that this process may write, since deliveries are noted "
            f"on its log; on the embedded log, that is `seedstream run --run {webhook.run} --web`"
        )
    return broker
