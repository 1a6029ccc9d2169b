"""Checks the offset at which a group would go on against the end of the partition."""

from service.errors import TopicRecreatedError
from service.messaging.broker import Broker, Isolation, Partition

OFFSETS_EXPIRE = (
    "nothing is committed, and there are results: Kafka deletes the offsets of a group without members after "
    "offsets.retention.minutes"
)


async def check_not_beyond_end(broker: Broker, group: str, partition: Partition, offset: int) -> None:
    """Raise unless a group could have read a partition up to an offset.

    Raises:
        TopicRecreatedError: the partition ends before that offset; its topic was deleted and created again.
    """
    end = await broker.end_offset(partition, Isolation.READ_UNCOMMITTED)
    if offset > end:
        raise TopicRecreatedError(
            f"{partition}: group {group} has read up to offset {offset}, and the end is {end}: the topic was deleted "
            "and created again, or a broker has lost its last records. Stop all processes of the run, then let "
            f"`kafka-consumer-groups.sh --bootstrap-server HOST:PORT --group {group} --topic {partition.topic} "
            "--reset-offsets --to-earliest --execute` start the group at the beginning of the new topic; what was on "
            "the old one and had not been read is gone, except for instructions, which admit writes again"
        )
