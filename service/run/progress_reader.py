"""Reads the progress of a run from its log."""

from service.messaging.broker import Broker
from service.messaging.topic_reader import Tail
from service.messaging.topics import ALL
from service.run.progress import Progress


async def read_progress(broker: Broker, run: str) -> Progress:
    """Return the progress of a run, counted over its topics (not its dead letters) up to their current ends."""
    progress = Progress()
    async with Tail.of(broker, run, ALL) as tail:
        async for message in tail.messages_to_end():
            progress.apply(message)
    return progress
