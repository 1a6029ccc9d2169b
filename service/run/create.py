"""Writes the definition, goal and seeds of a new run to its log."""

from collections.abc import Sequence

from service.errors import RunMismatchError
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, Message, RunDefined, SubmittedSeed, TopicIds
from service.messaging.topic_reader import replay
from service.selfinstruct.tasks import SeedTask


async def define_run(broker: Broker, definition: RunDefined, goal: GoalSet, seeds: Sequence[SeedTask]) -> None:
    """Write the definition, the goal and the seeds of a run in one transaction, so that no run lacks one of them.

    On Kafka, the ids of the topics are written with them, to notice a topic that is deleted and created again.

    Raises:
        RunMismatchError: another process has defined the run in the meantime.
    """
    ids = await identify_topics(broker, definition.run)
    messages = [definition, goal, *ids, *(SubmittedSeed(id=seed.id, seed=seed) for seed in seeds)]
    async with broker.transactional_producer(f"seedstream.{definition.run}.define") as producer:
        await replay(broker, definition.run, [topics.CONTROL], _refuse_another)
        await producer.begin()
        await producer.send([codec.encode(message, definition.run) for message in messages])
        await producer.commit()


async def identify_topics(broker: Broker, run: str) -> list[TopicIds]:
    """Return a message with the ids of the run's topics; none if the broker has no ids."""
    prefix = topics.CONTROL.of(run).removesuffix(topics.CONTROL.name)
    ids = await broker.topic_ids([spec.name for spec in topics.specs(run, 1)])
    return [TopicIds(run=run, ids={name.removeprefix(prefix): each for name, each in ids.items()})] if ids else []


def _refuse_another(message: Message) -> None:
    if isinstance(message, RunDefined):
        raise RunMismatchError(f"another process has just defined run {message.run!r}; try again to go on with it")
