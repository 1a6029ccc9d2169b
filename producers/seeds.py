"""seed file → `candidates`: human-written tasks on their way into the pool; admit lets each in once."""

from collections.abc import Sequence

from service import codec
from service.broker import Broker
from service.messages import GoalSet, RunDefined, SubmittedSeed
from service.selfinstruct.tasks import SeedTask


async def define_run(broker: Broker, definition: RunDefined, goal: GoalSet, seeds: Sequence[SeedTask]) -> None:
    """Write what the run is, what is wanted of it and its seeds, as one transaction: a run has all three or is none."""
    messages = [definition, goal, *(SubmittedSeed(id=seed.id, seed=seed) for seed in seeds)]
    async with broker.transactional_producer(f"seedstream.{definition.run}.define") as producer:
        await producer.begin()
        await producer.send([codec.encode(message, definition.run) for message in messages])
        await producer.commit()


async def submit_seeds(broker: Broker, run: str, seeds: Sequence[SeedTask]) -> None:
    """Send more seeds into a run; those whose id the pool knows already change nothing."""
    async with broker.producer() as producer:
        await producer.send([codec.encode(SubmittedSeed(id=seed.id, seed=seed), run) for seed in seeds])
