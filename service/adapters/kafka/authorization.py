"""Rights at a Kafka with an authorizer: a refusal becomes an error that names the missing right."""

from dataclasses import dataclass
from typing import Any

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from service.adapters.kafka.aiokafka_workarounds import causes
from service.errors import NotAuthorizedError

_KINDS: dict[type[KafkaError], str] = {
    TopicAuthorizationFailedError: "topic",
    GroupAuthorizationFailedError: "group",
    TransactionalIdAuthorizationFailed: "transactional id",
    ClusterAuthorizationFailedError: "cluster",
}
_USUAL = {"topic": "READ", "group": "READ", "transactional id": "WRITE", "cluster": "IDEMPOTENT_WRITE"}
# Positions of the operations in a broker's bit field, from Kafka's `AclOperation`.
_OPERATIONS = {"READ": 3, "WRITE": 4, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
_NOT_SAID = -(1 << 31)


@dataclass(frozen=True, slots=True)
class Right:
    """An operation on a resource, in Kafka's words: `WRITE` on `topic seedstream.default.pool`."""

    operation: str
    kind: str
    name: str


def not_authorized(principal: str, right: Right) -> NotAuthorizedError:
    """Return the error for a missing right."""
    return NotAuthorizedError(
        f"{principal} has no right to {right.operation} at Kafka's {right.kind} {right.name}: grant it, and start again"
    )


def refusal(error: BaseException, principal: str, right: Right) -> NotAuthorizedError | None:
    """Return the error for a missing right, None if `error` is of another kind; `right` is what was asked for.

    aiokafka may raise a refusal as the cause of another error. If a resource of another kind was refused, its name is
    in the error.
    """
    for each in causes(error):
        kind = _KINDS.get(type(each))
        if kind == right.kind:
            return not_authorized(principal, Right(right.operation, kind, _name(each) or right.name))
        if kind is not None:
            return not_authorized(principal, Right(_USUAL[kind], kind, _name(each)))
    return None


def _name(error: BaseException) -> str:
    """Return the resources that an error of aiokafka names; a description instead of a name has spaces."""
    named = error.args[0] if error.args else ""
    names = [named] if isinstance(named, str) else sorted(named)
    return ", ".join(name for name in names if " " not in name)


def operations(bits: int) -> frozenset[str]:
    """Return the operations of a broker's bit field; all of them if the broker did not fill it in."""
    return frozenset(name for name, place in _OPERATIONS.items() if bits == _NOT_SAID or bits >> place & 1)


class _Metadata8(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class _AskMetadata8(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Metadata8
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("may_create", Boolean),
        ("with_cluster_operations", Boolean),
        ("with_operations", Boolean),
    )


class OperationsRequest(Request[_AskMetadata8]):  # type: ignore[misc]
    """Asks which operations on topics the client may do; aiokafka's request for metadata is of an earlier version."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        """Return the request; it never creates a topic."""
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - in the order of the schema
