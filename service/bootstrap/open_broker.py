"""Opens the log that the settings name, after a check of its topics."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import structlog
from anyio import Path as AsyncPath
from anyio import to_thread
from pydantic import SecretStr

from service.adapters.kafka import REPLICATION, KafkaBroker, KafkaOptions, Security, TopicState, configs_of
from service.adapters.sqlite import Storage
from service.bootstrap.open_embedded import open_embedded, refuse_other_runs
from service.bootstrap.topic_checks import find_faults
from service.errors import ConfigurationError
from service.messaging.broker import Broker
from service.messaging.topics import specs
from service.settings import KAFKA_SCHEME, Settings

__all__ = ["REPLICATION", "TopicState", "bootstrap_of", "check_writable", "open_kafka", "open_log", "topic_configs"]


log = structlog.get_logger()


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Broker]:
    """Open the log to work on the run. On SQLite, missing topics are created; on Kafka, they must exist and be valid.

    An SQLite file that is created here is deleted at the end if the run was not defined.

    Raises:
        ConfigurationError: topics are missing or invalid, and the message names the commands that fix them; or the
            SQLite file holds another run.
        RunLockedError: another process has the SQLite log open.
        BrokerError: the log cannot be reached.
    """
    if not settings.on_kafka:
        was_there = await to_thread.run_sync(_is_there, settings.sqlite_file)
        async with open_embedded(settings, keep_empty=False) as embedded:
            if was_there and not await embedded.topic_names():
                log.warning("log.was_empty", file=str(settings.sqlite_file), hint="a new run begins in it")
            await embedded.create_topics(specs(settings.run, settings.work_partitions))
            yield embedded
        return
    async with open_kafka(settings) as broker:
        wrong = await find_faults(broker, settings)
        if wrong:
            raise ConfigurationError(
                f"the topics of run {settings.run!r} at {settings.broker} are not as they must be:\n  "
                + "\n  ".join(wrong)
            )
        yield broker


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return False  # opening it says so


@asynccontextmanager
async def open_kafka(settings: Settings) -> AsyncIterator[KafkaBroker]:
    """Connect to the Kafka cluster that the settings name.

    Raises:
        BrokerError: no broker answers at that address.
        ConfigurationError: the settings do not name a Kafka cluster, or a file that they name cannot be used.
    """
    bootstrap_of(settings)
    async with KafkaBroker.open(await _options(settings)) as broker:
        yield broker


def check_writable(settings: Settings) -> None:
    """Raise unless a run can open the SQLite log; delete the files that this check creates.

    Raises:
        ConfigurationError: the file holds another run.
        RunLockedError: another process has the log open.
        BrokerError: the file cannot be read or written.
    """
    with closing(Storage(settings.sqlite_file, read_only=False, keep_empty=False)) as storage:
        refuse_other_runs(settings, {partition.topic for partition in storage.partitions()})


def topic_configs(names: Iterable[str], replicas: int) -> dict[str, dict[str, str]]:
    """Return the settings at Kafka that topics of a run need."""
    return {name: configs_of(name, replicas) for name in names}


def bootstrap_of(settings: Settings) -> str:
    """Return the addresses of the Kafka cluster that the settings name.

    Raises:
        ConfigurationError: the settings do not name a Kafka cluster.
    """
    if not settings.on_kafka:
        raise ConfigurationError(f"expected --broker kafka://HOST:PORT, got {settings.broker}")
    return settings.broker.removeprefix(KAFKA_SCHEME)


async def _options(settings: Settings) -> KafkaOptions:
    return KafkaOptions(
        bootstrap=bootstrap_of(settings),
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
        heartbeat_s=min(2.0, settings.kafka_session_s / 3),
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
