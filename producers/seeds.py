"""seed file → `candidates`: human-written tasks on their way into the pool; admit lets each in once."""

from collections.abc import Sequence

from service.messaging import codec
from service.messaging.broker import Broker
from service.messaging.messages import SubmittedSeed
from service.selfinstruct.tasks import SeedTask


async def submit_seeds(broker: Broker, run: str, seeds: Sequence[SeedTask]) -> None:
    """Send more seeds into a run; those whose id the pool knows already change nothing."""
    async with broker.producer() as producer:
        await producer.send([codec.encode(SubmittedSeed(id=seed.id, seed=seed), run) for seed in seeds])
