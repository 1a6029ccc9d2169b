"""Writes the definition, goal and seeds of a new run to its log."""

from collections.abc import Sequence

from service.errors import RunMismatchError
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, Message, RunDefined, SubmittedSeed
from service.messaging.topic_reader import replay
from service.selfinstruct.tasks import SeedTask


async def define_run(broker: Broker, definition: RunDefined, goal: GoalSet, seeds: Sequence[SeedTask]) -> None:
    """Write the definition, the goal and the seeds of a run in one transaction, so that no run lacks one of them.

    Raises:
        RunMismatchError: another process has defined the run in the meantime.
    """
    messages = [definition, goal, *(SubmittedSeed(id=seed.id, seed=seed) for seed in seeds)]
    async with broker.transactional_producer(f"seedstream.{definition.run}.define") as producer:
        await replay(broker, definition.run, [topics.CONTROL], _refuse_another)
        await producer.begin()
        await producer.send([codec.encode(message, definition.run) for message in messages])
        await producer.commit()


def _refuse_another(message: Message) -> None:
    if isinstance(message, RunDefined):
        raise RunMismatchError(f"another process has just defined run {message.run!r}; try again to go on with it")
