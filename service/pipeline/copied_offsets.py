"""The committed offsets of a run that was copied from another one."""

from consumers.classify import Classify
from consumers.generate import Generate
from consumers.instances import WriteInstances
from service.messaging.broker import Broker, Committed, Partition
from service.runtime.commit_metadata import CommitMetadata, dump


async def commit_beginnings(broker: Broker, run: str) -> None:
    """Commit the beginning of its input for every stage that calls the model, as if it had just begun.

    Its workers then look for answers in all results. Without an offset they would say that it must have expired.
    """
    async with broker.transactional_producer(f"seedstream.{run}.define") as producer:
        for stage in (Generate, Classify, WriteInstances):
            ends, _ = dump(CommitMetadata((0,) * await broker.partitions(stage.results.of(run))))
            source = stage.source.of(run)
            partitions = [Partition(source, number) for number in range(await broker.partitions(source))]
            offsets = dict.fromkeys(partitions, Committed(0, ends))
            await producer.begin()  # aiokafka takes the offsets of one group only in a transaction
            await producer.send_offsets(f"seedstream.{run}.{stage.name}", offsets)
            await producer.commit()
