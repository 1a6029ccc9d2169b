"""Opens the log that the settings name, after a check of its topics."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from anyio import Path as AsyncPath
from pydantic import SecretStr

from service.adapters.kafka import KafkaBroker, KafkaOptions, Security, TopicState
from service.adapters.sqlite import SqliteBroker, Storage
from service.errors import ConfigurationError
from service.messaging.broker import Broker, TopicSpec
from service.messaging.topics import ALL, specs
from service.settings import Settings

__all__ = ["TopicState", "check_writable", "open_kafka", "open_log", "topic_faults"]

_SCHEME = "kafka://"


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Broker]:
    """Open the log to work on the run. On SQLite, missing topics are created; on Kafka, they must exist and be valid.

    An SQLite file that is created here is deleted at the end if the run was not defined.

    Raises:
        ConfigurationError: topics are missing or invalid; the message names the commands that fix them.
        RunLockedError: another process has the SQLite log open.
        BrokerError: the log cannot be reached.
    """
    if not settings.on_kafka:
        async with SqliteBroker.open(settings.sqlite_file, keep_empty=False) as embedded:
            await embedded.create_topics(specs(settings.run, settings.work_partitions))
            yield embedded
        return
    async with open_kafka(settings) as broker:
        wrong = await topic_faults(broker, settings)
        if wrong:
            raise ConfigurationError(
                f"the topics of run {settings.run!r} at {settings.broker} are not as they must be:\n  "
                + "\n  ".join(wrong)
            )
        yield broker


@asynccontextmanager
async def open_kafka(settings: Settings) -> AsyncIterator[KafkaBroker]:
    """Connect to the Kafka cluster that the settings name.

    Raises:
        BrokerError: no broker answers at that address.
        ConfigurationError: the settings do not name a Kafka cluster, or a file that they name cannot be used.
    """
    if not settings.on_kafka:
        raise ConfigurationError(f"expected --broker kafka://HOST:PORT, got {settings.broker}")
    async with KafkaBroker.open(await _options(settings)) as broker:
        yield broker


def check_writable(settings: Settings) -> None:
    """Raise unless a run can open the SQLite log; delete the files that this check creates.

    Raises:
        RunLockedError: another process has the log open.
        BrokerError: the file cannot be read or written.
    """
    Storage(settings.sqlite_file, read_only=False, keep_empty=False).close()


async def topic_faults(broker: KafkaBroker, settings: Settings) -> list[str]:
    """Return the errors of a run's topics, each with the command that fixes it; empty if all topics are valid."""
    wanted = specs(settings.run, settings.work_partitions)
    states = await broker.describe_topics([spec.name for spec in wanted])
    here = f"--broker {settings.broker} --run {settings.run}"
    found = [f"missing: {names}; `seedstream topics create {here}` creates them" for names in _missing(wanted, states)]
    ordered = {topic.of(settings.run) for topic in ALL if not topic.fanned_out}
    for state in states:
        if state.name in ordered and state.partitions != 1:
            found.append(
                f"{state.name}: expected 1 partition, since its order is the run's truth, got {state.partitions}; "
                "delete it while it is empty, and `seedstream topics create` creates it anew"
            )
        if settings.replication is not None and state.replication < settings.replication:
            found.append(
                f"{state.name}: expected {settings.replication} replicas, got {state.replication}; "
                "`kafka-reassign-partitions.sh` adds replicas"
            )
        found += _wrong_settings(state, settings.broker.removeprefix(_SCHEME))
    return found


def _missing(wanted: Sequence[TopicSpec], states: Sequence[TopicState]) -> list[str]:
    names = [spec.name for spec in wanted if spec.name not in {state.name for state in states}]
    if len(names) > 1:
        return [f"{names[0]} and {len(names) - 1} more"]
    return names


def _wrong_settings(state: TopicState, bootstrap: str) -> list[str]:
    wrong = state.wrong_configs()
    if not wrong:
        return []
    got = ", ".join(f"{name}={state.configs.get(name)}" for name in wrong)
    asked = ",".join(f"{name}={value}" for name, value in wrong.items())
    command = f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {state.name}"
    return [f"{state.name}: expected {asked}, got {got}; `{command} --add-config {asked}` mends it"]


async def _options(settings: Settings) -> KafkaOptions:
    return KafkaOptions(
        bootstrap=settings.broker.removeprefix(_SCHEME),
        security=Security(
            tls=settings.kafka_tls,
            sasl_mechanism=settings.kafka_sasl,
            username=settings.kafka_username,
            password=await _password(settings),
            ca_file=settings.kafka_ca_file,
            certificate_file=settings.kafka_certificate_file,
            key_file=settings.kafka_key_file,
        ),
        replication=settings.replication,
        session_timeout_s=settings.kafka_session_s,
        heartbeat_s=min(1.0, settings.kafka_session_s / 3),
        transaction_timeout_s=settings.kafka_transaction_s,
        gone_after_s=settings.kafka_gone_s,
    )


async def _password(settings: Settings) -> SecretStr | None:
    if settings.kafka_password_file is None:
        return settings.kafka_password
    try:
        return SecretStr((await AsyncPath(settings.kafka_password_file).read_text("utf-8-sig")).strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{settings.kafka_password_file}: expected a readable file that holds the password at Kafka: {error}"
        ) from error
