"""The positions of webhooks: records on `control`, so that a process that is killed leaves nothing out."""

from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import WebhookDelivered
from service.messaging.offset_vector import Vector, parse_vector, vector_text
from service.messaging.topic_reader import Tail


async def delivered_until(broker: Broker, run: str, webhook: str) -> dict[int, int] | None:
    """Return the offset vector behind the last delivered task that was noted; None before the first note."""
    found: str | None = None
    async with Tail.of(broker, run, [topics.CONTROL]) as tail:
        async for message in tail.messages_to_end():
            if isinstance(message, WebhookDelivered) and message.webhook == webhook:
                found = message.position
    return None if found is None else parse_vector(found)


async def note_delivered(broker: Broker, run: str, webhook: str, position: Vector) -> None:
    """Write that all tasks before a position are delivered."""
    async with broker.producer() as producer:
        message = WebhookDelivered(run=run, webhook=webhook, position=vector_text(position))
        await producer.send([codec.encode(message, run)])
