"""Connects to the Kafka cluster that the settings name; the only module, with `topic_checks`, that imports aiokafka."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from anyio import Path as AsyncPath
from pydantic import SecretStr

from service.adapters.kafka import REPLICATION, KafkaBroker, KafkaOptions, Security, TopicState, configs_of
from service.errors import ConfigurationError
from service.settings import KAFKA_SCHEME, Settings

__all__ = ["REPLICATION", "TopicState", "bootstrap_of", "open_kafka", "topic_configs"]


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
