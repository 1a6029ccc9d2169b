"""Rights at a Kafka with an authorizer: a refusal becomes an error that names the missing right."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

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
        f"{principal} has no right to {right.operation} at Kafka's {right.kind} {right.name}: grant it and start "
        "again; `seedstream topics acls` prints the rights of each role"
    )


def refusal(error: BaseException, principal: str, needed: Sequence[Right]) -> NotAuthorizedError | None:
    """Return the error for a missing right, None if `error` is no refusal.

    `needed` are the rights that the operation needs, at most one for a kind of resource. aiokafka may raise a refusal
    as the cause of another error.
    """
    rights = {right.kind: right for right in needed}
    for each in causes(error):
        if (kind := _KINDS.get(type(each))) is not None:
            right = rights.get(kind) or Right(_USUAL[kind], kind, f"(no name: {error!r})")
            return not_authorized(principal, Right(right.operation, kind, _name(each) or right.name))
    return None


def _name(error: BaseException) -> str:
    """Return the resources that an error of aiokafka names; a description instead of a name has spaces."""
    named = error.args[0] if error.args else ""
    names = [named] if isinstance(named, str) else sorted(named)
    return ", ".join(name for name in names if " " not in name)


def operations(bits: int) -> frozenset[str]:
    """Return the operations of a broker's bit field; all of them if the broker did not fill it in."""
    return frozenset(name for name, place in _OPERATIONS.items() if bits == _NOT_SAID or bits >> place & 1)
