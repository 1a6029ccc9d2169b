"""The state of the webhooks of a run, for its operator."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
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


def routes() -> list[web.RouteDef]:
    return [web.get("/v1/runs/{run}/webhooks", list_webhooks)]


async def list_webhooks(request: web.Request) -> web.Response:
    live = await request.app[RUNS].of(request.match_info["run"])
    states = [_state(each) for each in request.app[WEBHOOKS] if each.webhook.run == live.name]
    return web.Response(
        status=HTTPStatus.OK,
        body=msgspec.json.encode(WebhookStates(webhooks=states)),
        content_type="application/json",
    )


def _state(sender: WebhookSender) -> WebhookState:
    return WebhookState(
        name=sender.webhook.name,
        to=sender.webhook.place,
        active=sender.is_active,
        delivered=sender.delivered,
        position=vector_text(sender.position),
        failing=sender.postman.failing,
    )
