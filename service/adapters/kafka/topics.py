"""Topics of a Kafka cluster: creation with the settings of a run, and a description of existing topics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from service.adapters.kafka.cluster import Cluster
from service.errors import BrokerError
from service.messaging.broker import TopicSpec
from service.messaging.record_size import max_bytes_of

# Headroom for the header of a batch and the length fields of its records, which the limit on a record does not count.
_BATCH_HEADROOM_BYTES = 64 * 1024
# The loss of one machine must not lose records if the cluster has more.
_REPLICATION = 3
_APPEAR_S = 30.0


@dataclass(frozen=True, slots=True)
class TopicState:
    """The current state of a topic.

    `replication` and `in_sync` are the smallest numbers of replicas and in-sync replicas of a partition. `configs`
    contains the settings that a run needs, and `min.insync.replicas`.
    """

    name: str
    partitions: int
    replication: int
    in_sync: int
    configs: Mapping[str, str]
    max_record_bytes: int

    def wrong_configs(self) -> dict[str, str]:
        """Return the expected values of the settings that are wrong; a higher `max.message.bytes` is not wrong."""
        return {
            name: value
            for name, value in configs_of(self.name, self.max_record_bytes).items()
            if self.configs.get(name) != value
            and not (name == "max.message.bytes" and int(self.configs.get(name, 0)) > int(value))
        }


def configs_of(topic: str, max_record_bytes: int) -> dict[str, str]:
    """Return the settings that a topic of a run needs: no record expires, since the log holds the whole run."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(max_bytes_of(topic, max_record_bytes) + _BATCH_HEADROOM_BYTES),
    }


async def create(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    """Create the topics that do not exist yet, and wait until every broker knows the leaders of all.

    Raises:
        BrokerError: the cluster refuses (too few brokers for the replication, no permission …), or a broker does not
            know the topics in time.
    """
    existing = await cluster.topics()
    options = cluster.options
    replication = options.replication or min(_REPLICATION, len(await cluster.brokers()))
    missing = [
        NewTopic(
            spec.name,
            spec.partitions,
            replication,
            topic_configs=configs_of(spec.name, options.max_record_bytes),
        )
        for spec in specs
        if spec.name not in existing
    ]
    if missing:
        answer = await cluster.ask("creating topics", lambda: cluster.admin.create_topics(missing))
        for topic, code, *rest in answer.topic_errors:
            _check_created(topic, for_code(code), " ".join(str(each) for each in rest if each))
    await _wait_for_leaders(cluster, {spec.name for spec in specs})


def _check_created(topic: str, error: type[KafkaError], detail: str) -> None:
    if error.errno and error is not TopicAlreadyExistsError:
        raise BrokerError(f"creating topic {topic}: {error.__name__}: {detail}")


async def _wait_for_leaders(cluster: Cluster, names: set[str]) -> None:
    with anyio.move_on_after(_APPEAR_S):
        for broker in await cluster.brokers():
            await cluster.wait_until_known_at(broker, names)
        return
    raise BrokerError(
        f"topics were created and not all brokers know them after {_APPEAR_S:g} s: {', '.join(sorted(names))}"
    )


async def describe(cluster: Cluster, names: Sequence[str]) -> list[TopicState]:
    """Return the state of each topic that exists; missing topics are left out."""
    topics = await cluster.topics()
    present = [name for name in names if name in topics]
    configs = await _configs(cluster, present)
    return [
        TopicState(
            name,
            len(topics[name]),
            replication=min(len(part["replicas"]) for part in topics[name]),
            in_sync=min(len(part["isr"]) for part in topics[name]),
            configs=configs[name],
            max_record_bytes=cluster.options.max_record_bytes,
        )
        for name in present
    ]


async def _configs(cluster: Cluster, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    wanted = [*configs_of("", 0), "min.insync.replicas"]
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(wanted)) for name in names]
    answers = await cluster.ask("settings of topics", lambda: cluster.admin.describe_configs(resources))
    return {
        resource["resource_name"]: {
            entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
        }
        for answer in answers
        for resource in answer.to_object()["resources"]
    }
