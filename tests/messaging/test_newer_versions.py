"""Records of a newer version: values that only count are kept, and what a decision depends on is refused."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from service.errors import DecodeError, NewerVersionError
from service.lm.port import FinishReason
from service.messaging import codec, topics
from service.messaging.broker import NewRecord, Partition, Record
from service.messaging.messages import (
    Answer,
    CandidateVerdict,
    Decision,
    Ending,
    GoalSet,
    Message,
    RunDefined,
    RunEnded,
    TaskInstances,
)
from service.messaging.topic_reader import Tail
from service.messaging.topics import Topic
from service.selfinstruct.tasks import Candidate, InstanceReason, Reason
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import RUN, create, send, write
from tests.support.newer import by_newer, changed

Changes = Callable[[dict[str, Any]], None]


def read(topic: Topic[Message], record: NewRecord) -> Message:
    return codec.decode(topic, Record(Partition(record.topic, 0), 7, record.key, record.value, record.headers, 0))


def test_an_unknown_reason_is_kept_under_its_own_name() -> None:
    record = changed(examples.decision(0, accepted=1), lambda value: value["verdicts"][1].update(reason="too_dull"))
    decision = read(topics.DECISIONS, record)
    assert isinstance(decision, Decision)
    assert [verdict.reason for verdict in decision.verdicts] == [None, Reason("too_dull")]
    assert json.loads(codec.encode(decision, RUN).value or b"") == json.loads(record.value or b"")


@pytest.mark.parametrize(
    ("kind", "unknown"),
    [(Reason, "too_dull"), (InstanceReason, "too_dull"), (FinishReason, "tired"), (Ending, "bored")],
)
def test_an_open_enumeration_has_every_text_as_a_member(kind: type[StrEnum], unknown: str) -> None:
    found = kind(unknown)
    assert (found, found.value, str(found), type(found)) == (unknown, unknown, unknown, kind)
    assert (found == kind(unknown), hash(found)) == (True, hash(kind(unknown)))
    assert found not in list(kind)
    assert all(kind(each.value) is each for each in kind)
    with pytest.raises(ValueError, match="not a valid"):
        kind(cast(str, 5))


def test_unknown_values_are_readable_wherever_they_only_count() -> None:
    answer = changed(
        examples.answer(0, Candidate(0, "Name a river", rejection=Reason.TOO_SHORT)),
        lambda value: (
            value["call"].update(finish_reason="tired"),
            value["candidates"][0].update(rejection="too_dull"),
        ),
    )
    read_answer = read(topics.CANDIDATES, answer)
    assert isinstance(read_answer, Answer)
    assert not read_answer.call.truncated
    assert read_answer.candidates[0].rejection == "too_dull"
    dropped = examples.task_instances("p0.0", InstanceReason.CHATTER)
    instances = read(topics.INSTANCES, changed(dropped, lambda value: value.update(rejection="too_dull")))
    assert isinstance(instances, TaskInstances)
    assert instances.rejection == "too_dull"
    ended = RunEnded(run=RUN, ending=Ending.STALLED, target=1, finished=0, detail="")
    assert read(topics.CONTROL, changed(ended, lambda value: value.update(ending="bored")))


@pytest.mark.parametrize(
    ("message", "change", "named"),
    [
        (examples.goal(5), lambda value: value.update(max_hours=3), "max_hours: no limit"),
        (examples.definition(2), lambda value: value["recipe"].update(novelty=0.3), "novelty: no parameter"),
        (
            examples.definition(2),
            lambda value: value["recipe"]["filters"].update(max_lines=3),
            "filters.max_lines: no parameter",
        ),
        (
            examples.definition(2),
            lambda value: value["recipe"]["instruction_sampling"].update(seed=3),
            "instruction_sampling.seed: no parameter",
        ),
        (examples.definition(2), lambda value: value["templates"].update(critique="?"), "critique: no template"),
        (
            RunEnded(run=RUN, ending=Ending.STALLED, target=1, finished=0, detail="", goal=examples.goal(1)),
            lambda value: value["goal"].update(max_hours=3),
            "max_hours: no limit",
        ),
        (
            examples.pooled(0),
            lambda value: value.update(origin="translated"),
            "origin: expected a value that",
        ),
    ],
)
def test_an_unknown_value_that_matters_is_refused(message: Message, change: Changes, named: str) -> None:
    with pytest.raises(DecodeError, match=named):
        read(topics.TOPIC_OF_TYPE[type(message)], changed(message, change))


@pytest.mark.parametrize("nothing", [None, False, 0, 0.0, "", []])
def test_an_unknown_limit_that_is_not_set_is_ignored(nothing: object) -> None:
    goal = read(topics.CONTROL, changed(examples.goal(5), lambda value: value.update(max_hours=nothing)))
    assert goal == GoalSet(run=RUN, target=5)
    defined = read(topics.CONTROL, changed(examples.definition(2), lambda value: value["recipe"].update(new=nothing)))
    assert isinstance(defined, RunDefined)
    assert defined == examples.definition(2)


def test_other_unknown_fields_are_ignored() -> None:
    record = changed(examples.decision(0), lambda value: value.update(mood={"good": True}))
    assert read(topics.DECISIONS, record) == examples.decision(0)


def with_version(record: NewRecord, version: str | None) -> NewRecord:
    headers = tuple(each for each in record.headers if each[0] != "seedstream_version")
    return replace(record, headers=headers if version is None else (*headers, ("seedstream_version", version.encode())))


@pytest.mark.parametrize("version", ["1.0.0", "0.2", "0.1.1", "99.0.0rc1", "0.10.0.dev3"])
def test_an_unreadable_record_of_a_newer_version_is_named(version: str) -> None:
    record = with_version(by_newer(topics.CANDIDATES), version)
    with pytest.raises(
        NewerVersionError, match=rf"candidates/0/7: .*Seedstream {version} wrote .* upgrade this process"
    ):
        read(topics.CANDIDATES, record)


@pytest.mark.parametrize("version", [None, "0.1.0", "0.0.9", "", "newest", "1", "9" * 5_000])
def test_another_unreadable_record_is_just_unreadable(version: str | None) -> None:
    """It is damaged, or another program wrote it: no upgrade would help."""
    with pytest.raises(DecodeError) as caught:
        read(topics.CANDIDATES, with_version(by_newer(topics.CANDIDATES), version))
    assert not isinstance(caught.value, NewerVersionError)


def test_a_record_names_the_version_of_its_writer() -> None:
    assert codec.header(codec.encode(examples.prompt(0), RUN).headers, "seedstream_version") == "0.1.0"


@pytest.mark.anyio
async def test_a_reader_counts_the_records_that_it_lacks(open_broker: OpenBroker) -> None:
    damaged = NewRecord(topics.CANDIDATES.of(RUN), b"{", headers=(("ce_type", b"io.seedstream.answer.v1"),))
    foreign = NewRecord(topics.DECISIONS.of(RUN), b"hello")
    optional = replace(foreign, headers=(("ce_type", b"io.seedstream-optional.note.v1"),))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.decision(0))
        await write(broker, damaged, foreign, optional)
        await write(broker, by_newer(topics.DECISIONS), by_newer(topics.CANDIDATES), by_newer(topics.CANDIDATES))
        followed = (topics.DECISIONS, topics.CANDIDATES)
        async with Tail.of(broker, RUN, followed) as tail:
            assert [message async for message in tail.messages_to_end()] == [examples.decision(0)]
            assert tail.unread == {"decisions": 1, "candidates": 2}
        for topic in followed:
            async with Tail.of(broker, RUN, [topic], complete=True) as tail:
                with pytest.raises(NewerVersionError, match="this process cannot go on"):
                    _ = [message async for message in tail.messages_to_end()]


def test_a_verdict_with_a_reason_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="reason"):
        msgspec.json.decode(b'{"id":"p0.0","reason":7}', type=CandidateVerdict)
