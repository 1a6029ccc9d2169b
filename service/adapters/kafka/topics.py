"""Topics of a Kafka cluster: creation with the settings of a run, and a description of existing topics."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import anyio
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    LeaderNotAvailableError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from service.adapters.kafka.authorization import Right
from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.later_requests import RegisteredBrokersRequest, TopicsRequest
from service.errors import BrokerError, NotAuthorizedError
from service.messaging.broker import TopicSpec
from service.messaging.record_size import MAX_RECORD_BYTES, max_bytes_of

# Headroom for the header of a batch and the length fields of its records, which the limit on a record does not count.
_BATCH_HEADROOM_BYTES = 64 * 1024
# The loss of one machine must not lose records if the cluster has more.
REPLICATION = 3
_APPEAR_S = 30.0
_BROKER_S = 2.0
# The source of a setting, in Kafka's answer, that was set on the topic itself.
_SET_ON_TOPIC = 1


@dataclass(frozen=True, slots=True)
class TopicState:
    """The current state of a topic.

    `id` is Kafka's own: a topic that is deleted and created again has another. `replication` and `in_sync` are the
    smallest numbers of replicas and in-sync replicas of a partition. `configs` contains the settings that a run needs,
    and `chosen` the names of those that were set on the topic itself, not on the brokers.
    """

    name: str
    id: str
    partitions: int
    replication: int
    in_sync: int
    configs: Mapping[str, str]
    chosen: Collection[str]
    max_record_bytes: int

    def wrong_configs(self) -> dict[str, str]:
        """Return the expected values of the settings that are wrong.

        Higher values of `max.message.bytes` and `min.insync.replicas` are right, as long as records can be written.
        """
        wanted = configs_of(self.name, self.replication, self.max_record_bytes)
        return {name: value for name, value in wanted.items() if not self._is_right(name, value)}

    def _is_right(self, name: str, wanted: str) -> bool:
        value = self.configs.get(name)
        match name:
            case "max.message.bytes":
                return value is not None and int(value) >= int(wanted)
            case "min.insync.replicas":
                return value is None or int(wanted) <= int(value) <= self.replication
            case _:
                return value == wanted


def configs_of(topic: str, replication: int, max_record_bytes: int = MAX_RECORD_BYTES) -> dict[str, str]:
    """Return the settings that a topic of a run needs.

    No record expires, since the log holds the whole run. With three replicas, two must have a record before it is
    acknowledged: the loss of one broker loses nothing, and does not stop the run.
    """
    return {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(max_bytes_of(topic, max_record_bytes) + _BATCH_HEADROOM_BYTES),
        "min.insync.replicas": "2" if replication >= REPLICATION else "1",
    }


async def create(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    """Create the topics that do not exist yet, and wait until every broker knows the leaders of all.

    Raises:
        BrokerError: the cluster refuses (too few brokers for the replication, no permission …), or a broker does not
            know the topics in time.
    """
    existing = await cluster.topics()
    options = cluster.options
    replication = options.replication or min(REPLICATION, len(await registered_brokers(cluster)))
    missing = [
        NewTopic(
            spec.name,
            spec.partitions,
            replication,
            topic_configs=configs_of(spec.name, replication, options.max_record_bytes),
        )
        for spec in specs
        if spec.name not in existing
    ]
    if missing:
        answer = await cluster.ask("creating topics", lambda: cluster.admin.create_topics(missing))
        for topic, code, *rest in answer.topic_errors:
            error, detail = for_code(code), " ".join(str(each) for each in rest if each)
            if error is not NoError and error is not TopicAlreadyExistsError:
                raise cluster.translated(f"creating topic {topic}", error(detail), Right("CREATE", "topic", topic))
    await _wait_for_leaders(cluster, {spec.name for spec in specs})


async def _wait_for_leaders(cluster: Cluster, names: set[str]) -> None:
    with anyio.move_on_after(_APPEAR_S):
        known: set[int] = set()
        while unasked := set(await cluster.brokers()) - known:  # one that has died is listed for some seconds more
            for broker in sorted(unasked):
                with anyio.move_on_after(_BROKER_S):
                    await cluster.wait_until_known_at(broker, names)
                    known.add(broker)
        return
    raise BrokerError(
        f"topics were created and not all brokers know them after {_APPEAR_S:g} s: {', '.join(sorted(names))}"
    )


async def registered_brokers(cluster: Cluster) -> frozenset[int]:
    """Return the ids of all brokers of the cluster, also of those that are away.

    Kafka puts replicas on a broker that is away, and they follow once it is back. Without it, topics would have too few
    replicas for ever. Brokers before Kafka 4.0 do not tell which are away: those that hold replicas are known anyway.
    """
    brokers = frozenset(await cluster.brokers())
    topics = await cluster.topics()
    holders = {node for partitions in topics.values() for each in partitions for node in each["replicas"]}
    return brokers | holders | await cluster.ask("the list of brokers", lambda: _registered(cluster))


async def _registered(cluster: Cluster) -> frozenset[int]:
    try:
        answer = await cluster.admin._send_request(RegisteredBrokersRequest())  # noqa: SLF001 - of a later version
    except (NotImplementedError, IncompatibleBrokerVersion):
        return frozenset()
    return frozenset(each["node_id"] for each in answer.to_object()["brokers"])


async def describe(cluster: Cluster, names: Sequence[str]) -> list[TopicState]:
    """Return the state of each topic that exists; missing topics are left out.

    Raises:
        NotAuthorizedError: this client may not see a topic or its settings.
    """
    ids = await identify(cluster, names)
    topics = await cluster.topics()
    present = [name for name in names if name in ids and name in topics]
    configs = await _configs(cluster, ConfigResourceType.TOPIC, present, [*configs_of("", 1)])
    return [
        TopicState(
            name,
            ids[name],
            len(topics[name]),
            replication=min(len(part["replicas"]) for part in topics[name]),
            in_sync=min(len(part["isr"]) for part in topics[name]),
            configs={each.name: each.value for each in configs[name]},
            chosen=[each.name for each in configs[name] if each.chosen],
            max_record_bytes=cluster.options.max_record_bytes,
        )
        for name in present
    ]


async def identify(cluster: Cluster, names: Sequence[str]) -> dict[str, str]:
    """Return the id of each topic that exists.

    Raises:
        NotAuthorizedError: this client may not see a topic, whether it exists or not.
    """
    request = TopicsRequest(list(names))

    async def ids() -> dict[str, str]:
        answer = await cluster.admin._send_request(request)  # noqa: SLF001 - of a later version
        found = {}
        for each in answer.to_object()["topics"]:
            error = for_code(each["error_code"])
            if error is NoError or error is LeaderNotAvailableError:
                found[each["topic"]] = str(each["topic_id"])
            elif error is not UnknownTopicOrPartitionError:
                raise error(each["topic"])
        return found

    return await cluster.ask("ids of topics", ids, Right("DESCRIBE", "topic", ", ".join(names)))


async def broker_setting(cluster: Cluster, name: str) -> str | None:
    """Return a setting of the brokers, `None` if this client may not see it."""
    broker, *_ = await cluster.brokers()
    try:
        found = await _configs(cluster, ConfigResourceType.BROKER, [str(broker)], [name])
    except NotAuthorizedError:
        return None
    return next((each.value for each in found[str(broker)]), None)


class _Config(NamedTuple):
    name: str
    value: str
    chosen: bool


async def _configs(
    cluster: Cluster, kind: ConfigResourceType, names: Sequence[str], wanted: Sequence[str]
) -> dict[str, list[_Config]]:
    """Return the wanted settings of topics or brokers."""
    if not names:
        return {}
    resources = [ConfigResource(kind, name, dict.fromkeys(wanted)) for name in names]

    needed = Right("DESCRIBE_CONFIGS", "topic", ", ".join(names)), Right("DESCRIBE_CONFIGS", "cluster", "kafka-cluster")

    async def configs() -> dict[str, list[_Config]]:
        found = {}
        for answer in await cluster.admin.describe_configs(resources):
            for resource in answer.to_object()["resources"]:
                if (error := for_code(resource["error_code"])) is not NoError:
                    raise error(resource["resource_name"])
                found[resource["resource_name"]] = [
                    _Config(each["config_names"], each["config_value"], each["config_source"] == _SET_ON_TOPIC)
                    for each in resource["config_entries"]
                ]
        return found

    return await cluster.ask("settings of topics", configs, *needed)
