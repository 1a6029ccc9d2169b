"""Requests of later versions than aiokafka has: the ids of topics, rights, and the brokers that are away."""

from io import BytesIO
from typing import Any
from uuid import UUID

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int8, Int16, Int32, Schema, TaggedFields

_NO_ID = UUID(int=0)
_BROKERS = 1


class _Uuid:
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: UUID) -> str:
        return str(value)


_TAGS = ("tags", TaggedFields)


class _Metadata12(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", CompactString()), ("port", Int32), ("rack", CompactString()), _TAGS
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _AskMetadata12(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Metadata12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", CompactString()), _TAGS)),
        ("may_create", Boolean),
        ("with_operations", Boolean),
        _TAGS,
    )


class TopicsRequest(Request[_AskMetadata12]):  # type: ignore[misc]
    """Asks for the ids of topics, by name, and for what this client may do with each; it never creates a topic."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        """Return the request."""
        named: list[tuple[UUID, str, dict[int, bytes]]] = [(_NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(named, False, True, {})  # noqa: FBT003 - in the order of the schema


class _Cluster2(Response):  # type: ignore[misc]
    API_KEY = 60
    API_VERSION = 2
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", CompactString()),
        ("endpoint_type", Int8),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("is_fenced", Boolean),
                _TAGS,
            ),
        ),
        ("operations", Int32),
        _TAGS,
    )


class _AskCluster2(RequestStruct):  # type: ignore[misc]
    API_KEY = 60
    API_VERSION = 2
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Cluster2
    SCHEMA = Schema(("with_operations", Boolean), ("endpoint_type", Int8), ("with_fenced_brokers", Boolean), _TAGS)


class RegisteredBrokersRequest(Request[_AskCluster2]):  # type: ignore[misc]
    """Asks for all brokers of the cluster, also those that are away; brokers before Kafka 4.0 do not know it."""

    API_KEY = 60

    def build(self, request_struct_class: Any) -> Any:
        """Return the request."""
        return request_struct_class(False, _BROKERS, True, {})  # noqa: FBT003 - in the order of the schema
