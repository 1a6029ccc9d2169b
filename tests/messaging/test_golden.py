"""Golden records: every version of a message that was ever written stays readable, with the same meaning.

A file is never changed. A new optional field needs no file. A new version of a message gets a file of its own.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from service.messaging.broker import Partition, Record
from service.messaging.codec import decode, encode, header
from service.messaging.messages import Message
from service.messaging.topics import TOPIC_OF_TYPE

GOLDEN = {path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("golden").glob("*.json")}
KINDS = {kind.ce_type.removeprefix("io.seedstream."): kind for kind in TOPIC_OF_TYPE}


def record_of(golden: dict[str, Any], topic: str) -> Record:
    headers = tuple((name, value.encode()) for name, value in golden["headers"])
    value = json.dumps(golden["value"]).encode()
    return Record(Partition(topic, 0), 0, golden["key"].encode(), value, headers, 0)


def holds(whole: object, part: object) -> bool:
    """Return whether a JSON value contains all of another one."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and holds(whole[name], value) for name, value in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(whole) == len(part) and all(map(holds, whole, part))
    return whole == part


def test_there_is_a_record_of_every_type() -> None:
    assert set(KINDS) <= set(GOLDEN)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_golden_record_is_readable_with_the_same_meaning(name: str) -> None:
    golden, kind = GOLDEN[name], KINDS[name]
    topic = TOPIC_OF_TYPE[kind]
    record = record_of(golden, topic.of("golden"))
    message: Message = decode(topic, record)
    assert type(message) is kind
    assert message.key == golden["key"]
    again = encode(message, "golden")
    assert holds(json.loads(again.value or b""), golden["value"])
    stable = ("ce_specversion", "ce_type", "ce_id", "ce_source", "content-type")
    assert [header(again.headers, part) for part in stable] == [header(record.headers, part) for part in stable]
