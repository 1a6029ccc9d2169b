"""The state of the webhooks of a run, for its operator."""

from collections.abc import Sequence

from aiohttp import web
from msgspec import Struct

from service.messaging.offset_vector import vector_text
from service.web.keys import RUNS
from service.web.webhooks.delivery import Failing
from service.web.webhooks.sender import WebhookSender

WEBHOOKS = web.AppKey("webhooks", Sequence[WebhookSender])


class WebhookState(Struct, frozen=True, kw_only=True):
    """A webhook: `to` is scheme and host; `delivered` counts the tasks since this process began.

    `active` is false where another process delivers. `position` is that behind the last delivered task, as far as this
    process knows. `failing` is set while the receiver does not take a delivery.
    """

    name: str
    to: str
    active: bool
    delivered: int
    position: str
    failing: Failing | None


class WebhookStates(Struct, frozen=True, kw_only=True):
    """The webhooks of a run in this process."""

    webhooks: list[WebhookState]


async def list_webhooks(request: web.Request) -> WebhookStates:
    """Return the webhooks of a run."""
    live = await request.app[RUNS].of(request.match_info["run"])
    return WebhookStates(webhooks=[_state(each) for each in request.app[WEBHOOKS] if each.webhook.run == live.name])


def _state(sender: WebhookSender) -> WebhookState:
    return WebhookState(
        name=sender.webhook.name,
        to=sender.webhook.place,
        active=sender.is_active,
        delivered=sender.delivered,
        position=vector_text(sender.position),
        failing=sender.postman.failing,
    )
