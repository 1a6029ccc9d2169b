"""The rights and topics of a run in the languages of those who set them: `kafka-acls.sh`, and Strimzi's resources."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from service.messaging.broker import TopicSpec
from service.messaging.rights import Account, Operation, Resource, Right, rights_of

_KINDS = {Resource.TRANSACTIONAL_ID: "transactionalId"}


def user_of(template: str, run: str, account: Account) -> str:
    """Return the name of an account's user: the template with `{run}` and `{account}` filled in."""
    return template.replace("{run}", run).replace("{account}", account)


def commands(run: str, bootstrap: str, user: str, command_config: Path | None) -> Iterator[str]:
    """Yield commands of a shell that give each account its rights; `user` is a template for names."""
    common = ["kafka-acls.sh", "--bootstrap-server", bootstrap]
    if command_config is not None:
        common += ["--command-config", str(command_config)]
    for account in Account:
        yield f"# {account}"
        who = ["--add", "--allow-principal", f"User:{user_of(user, run, account)}"]
        for operations, rights in _together(rights_of(account, run)):
            what = [part for operation in operations for part in ("--operation", operation.value)]
            yield shlex.join([*common, *who, *what, *_options(rights)])


def _together(rights: Sequence[Right]) -> Iterator[tuple[Sequence[Operation], list[Right]]]:
    """Yield the rights that one command can give: the same operations on resources of one kind and pattern."""
    operations: dict[tuple[Resource, str, bool], list[Operation]] = {}
    for right in rights:
        operations.setdefault((right.resource, right.name, right.prefixed), []).append(right.operation)
    groups: dict[tuple[Resource, bool, tuple[Operation, ...]], list[Right]] = {}
    for (resource, name, prefixed), asked in operations.items():
        right = Right(resource, name, asked[0], prefixed)
        groups.setdefault((resource, prefixed, tuple(sorted(asked))), []).append(right)
    for (_, _, asked_for), found in groups.items():
        yield asked_for, found


def _options(rights: Sequence[Right]) -> list[str]:
    if rights[0].resource is Resource.CLUSTER:
        return ["--cluster"]
    named = [part for right in rights for part in (f"--{right.resource}", right.name)]
    return [*named, *(["--resource-pattern-type", "prefixed"] if rights[0].prefixed else [])]


def kafka_topics(
    specs: Sequence[TopicSpec], configs: Mapping[str, Mapping[str, str]], replicas: int, labels: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield a `KafkaTopic` of Strimzi for each topic."""
    for spec in specs:
        settings = {name: _number(value) for name, value in configs[spec.name].items()}
        yield _resource(
            "KafkaTopic",
            spec.name,
            labels,
            {"topicName": spec.name, "partitions": spec.partitions, "replicas": replicas, "config": settings},
        )


def kafka_users(run: str, user: str, authentication: str, labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a `KafkaUser` of Strimzi for each account; `user` is a template for names."""
    for account in Account:
        spec: dict[str, Any] = {"authentication": {"type": authentication}}
        acls = [
            _acl(operations, right) for operations, rights in _together(rights_of(account, run)) for right in rights
        ]
        spec["authorization"] = {"type": "simple", "acls": acls}
        yield _resource("KafkaUser", user_of(user, run, account), labels, spec)


def _acl(operations: Sequence[Operation], right: Right) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": _KINDS.get(right.resource, right.resource.value)}
    if right.resource is not Resource.CLUSTER:
        resource |= {"name": right.name, "patternType": "prefix" if right.prefixed else "literal"}
    return {"resource": resource, "operations": [operation.value for operation in operations]}


def _resource(kind: str, name: str, labels: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": _allowed(name), "labels": dict(labels)}
    return {"apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _allowed(name: str) -> str:
    """Return a name that Kubernetes allows: without underscores, which the name of a run may have, and distinct."""
    if "_" not in name:
        return name
    return f"{name.replace('_', '-')}-{sha256(name.encode()).hexdigest()[:8]}"


def _number(value: str) -> int | str:
    return int(value) if value.lstrip("-").isdecimal() else value


def as_yaml(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return a stream of YAML documents; texts are quoted as in JSON, which is YAML as well."""
    return "".join("---\n" + "\n".join(_block(document)) + "\n" for document in documents)


def _block(value: Mapping[str, Any]) -> Iterator[str]:
    for key, each in value.items():
        match each:
            case dict():
                yield f"{key}:"
                yield from _indented(_block(each))
            case [dict(), *_]:
                yield f"{key}:"
                for entry in each:
                    first, *rest = _block(entry)
                    yield f"  - {first}"
                    yield from (f"    {line}" for line in rest)
            case _:
                yield f"{key}: {_flow(each)}"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_flow(each) for each in value)}]"
    return orjson.dumps(value).decode()
