"""The output of `topics acls` and `topics manifest`: all rights of the table and all topics, for their tools."""

import json
import shlex
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from typer.testing import CliRunner

from service.__main__ import app
from service.messaging import topics
from service.messaging.rights import Account, Operation, Resource, Right, rights_of

pytestmark = pytest.mark.usefixtures("no_settings")

RUN = "a_b"


def printed(*arguments: str) -> str:
    ended = CliRunner().invoke(app, ["topics", *arguments])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def rights_in(command: list[str]) -> Iterator[Right]:
    """Yield the rights that a command of kafka-acls.sh gives."""
    pairs = list(pairwise(command))
    prefixed = ("--resource-pattern-type", "prefixed") in pairs
    for option, value in pairs:
        if option == "--operation":
            if "--cluster" in command:
                yield Right(Resource.CLUSTER, "kafka-cluster", Operation(value))
            for kind, name in pairs:
                if kind in ("--topic", "--group", "--transactional-id"):
                    yield Right(Resource(kind.removeprefix("--")), name, Operation(value), prefixed)


def test_the_commands_give_all_rights_of_the_table() -> None:
    out = printed("acls", "--broker", "kafka://k:9092", "--run", RUN, "--user", "CN={run} {account}")
    given: dict[str, set[Right]] = {}
    for line in out.splitlines():
        if not line.startswith("#"):
            command = shlex.split(line)
            assert command[:4] == ["kafka-acls.sh", "--bootstrap-server", "k:9092", "--add"]
            given.setdefault(command[5], set()).update(rights_in(command))
    assert given == {f"User:CN={RUN} {account}": set(rights_of(account, RUN)) for account in Account}


def test_the_commands_need_the_address_of_kafka() -> None:
    ended = CliRunner().invoke(app, ["topics", "acls"])
    assert "kafka://HOST:PORT" in str(ended.exception)


def test_the_manifest_has_all_topics_and_users() -> None:
    resources = list(documents(printed("manifest", "--run", RUN, "--cluster", "mine", "--partitions", "6")))
    assert {each["apiVersion"] for each in resources} == {"kafka.strimzi.io/v1"}
    assert all(each["metadata"]["labels"] == {"strimzi.io/cluster": "mine"} for each in resources)
    names = [each["metadata"]["name"] for each in resources]
    assert len(set(names)) == len(names)
    assert not any("_" in name for name in names)
    specs = {each["spec"]["topicName"]: each["spec"] for each in resources if each["kind"] == "KafkaTopic"}
    assert {name: spec["partitions"] for name, spec in specs.items()} == {
        spec.name: spec.partitions for spec in topics.specs(RUN, 6)
    }
    assert all(spec["replicas"] == 3 for spec in specs.values())
    assert all(spec["config"]["min.insync.replicas"] == 2 for spec in specs.values())
    users = [each for each in resources if each["kind"] == "KafkaUser"]
    for account, user in zip(Account, users, strict=True):
        given = {
            (acl["resource"]["type"], acl["resource"].get("name", "kafka-cluster"), operation)
            for acl in user["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        }
        kinds = {Resource.TRANSACTIONAL_ID: "transactionalId"}
        wanted = {
            (kinds.get(each.resource, each.resource), each.name, each.operation) for each in rights_of(account, RUN)
        }
        assert given == wanted


def documents(text: str) -> Iterator[dict[str, Any]]:
    """Parse the part of YAML that the manifest uses: blocks of two spaces, lists of maps, and values in JSON."""
    for document in text.split("---\n")[1:]:
        found, rest = block(document.splitlines(), 0)
        assert not rest
        yield found


def block(lines: list[str], depth: int) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    while lines and len(lines[0]) - len(lines[0].lstrip()) == depth and not lines[0].lstrip().startswith("- "):
        key, _, value = lines[0].strip().partition(":")
        lines = lines[1:]
        if value:
            found[key] = json.loads(value)
        elif lines and lines[0].lstrip().startswith("- "):
            found[key] = []
            while lines and lines[0].startswith(" " * depth + "  - "):
                entry, lines = block([lines[0].replace("- ", "  ", 1), *lines[1:]], depth + 4)
                found[key].append(entry)
        else:
            found[key], lines = block(lines, depth + 2)
    return found, lines
