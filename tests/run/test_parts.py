"""A fold over parts of messages is the fold over the whole messages."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from producers import memory
from producers.sampling_pool import SamplingPool
from service.checkpoints import State
from service.errors import DecodeError, NewerVersionError
from service.lm.usage import Usage
from service.messaging import codec
from service.messaging.broker import Partition, Record
from service.messaging.messages import Call, CallsDropped, Decision, FailedCall, Message, TaskInstances
from service.messaging.topics import DECISIONS, INSTANCES, PROMPTS, TOPIC_OF_TYPE, Topic
from service.run import progress_reader
from service.run.progress import Progress
from service.selfinstruct.tasks import InstanceReason, Reason
from tests.support import examples
from tests.support.logs import RUN

Parts = Mapping[str, Topic[Message]]

_NUMBERS = st.integers(0, 5)
_IDS = st.builds("p{}.{}".format, _NUMBERS, st.integers(0, 2))
_COSTS = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1e-12, -1.0]))
_USAGES = st.one_of(st.none(), st.builds(Usage, *[st.integers(0, 9)] * 4))
_CALLS = st.builds(
    Call,
    model=st.just("m"),
    completion=st.text(max_size=5),
    finish_reason=st.just(examples.CALL.finish_reason),
    usage=_USAGES,
    attempts=st.integers(1, 3),
    cost_usd=_COSTS,
    wasted=_USAGES,
    prices=st.one_of(st.none(), st.just("v1")),
)
_FAILED_CALLS = st.builds(FailedCall, attempts=st.integers(1, 3), wasted=_USAGES, cost_usd=_COSTS)
_TOPICS = st.sampled_from([None, "rivers", "songs"])
_REASONS = st.one_of(st.none(), st.sampled_from(InstanceReason), st.just(InstanceReason("of a newer version")))


_REFUSALS = st.one_of(st.sampled_from(Reason), st.just(Reason("of a newer version")))


def with_fields(message: Message, fields: Mapping[str, Any]) -> Message:
    return structs.replace(message, **fields)


def with_topic(made: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(with_fields, made, st.fixed_dictionaries({"topic": _TOPICS}))


def about(message: TaskInstances, topic: str | None) -> Message:
    return structs.replace(message, provenance=structs.replace(message.provenance, topic=topic))


def with_call(made: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(with_fields, made, st.fixed_dictionaries({"call": _CALLS}))


def completed(made: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    paid = st.fixed_dictionaries({"call": _CALLS})
    unpaid = st.fixed_dictionaries({"call": st.none(), "spent": st.one_of(st.none(), _FAILED_CALLS)})
    return st.builds(with_fields, made, st.one_of(paid, unpaid))


def decided(message: Decision, reason: Reason) -> Message:
    verdicts = [structs.replace(each, reason=each.reason and reason) for each in message.verdicts]
    return structs.replace(message, verdicts=tuple(verdicts))


_MESSAGES: st.SearchStrategy[Any] = st.one_of(
    with_topic(st.builds(examples.prompt, _NUMBERS)),
    with_call(st.builds(examples.answer, _NUMBERS, st.just("one"), st.just("two"))),
    st.builds(with_fields, st.builds(examples.failed, _NUMBERS), st.fixed_dictionaries({"spent": _FAILED_CALLS})),
    st.builds(examples.seed, _NUMBERS),
    st.builds(examples.pooled_seed, _NUMBERS),
    st.builds(examples.pooled, _NUMBERS, st.text(max_size=5), _NUMBERS),
    st.builds(decided, with_topic(st.builds(examples.decision, _NUMBERS, st.integers(0, 2), _NUMBERS)), _REFUSALS),
    st.builds(examples.decision, _NUMBERS, failure=st.just("timed out")),
    completed(st.builds(examples.classified, _IDS, is_classification=st.sampled_from([True, False, None]))),
    completed(st.builds(about, st.builds(examples.task_instances, _IDS, _REASONS), _TOPICS)),
    with_topic(st.builds(examples.finished, _NUMBERS)),
    st.builds(examples.goal, _NUMBERS),
    st.builds(CallsDropped, stage=st.just("classify"), calls=st.just(1), spent=_FAILED_CALLS),
)


def record_of(message: Message) -> Record:
    written = codec.encode(message, RUN)
    return Record(Partition(written.topic, 0), 0, written.key, written.value, written.headers, 0)


def part_of(message: Message, parts: Parts) -> Message:
    topic = TOPIC_OF_TYPE[type(message)]
    return codec.part_decoder(parts.get(topic.name, topic))(record_of(message))


def held(state: State) -> tuple[Any, ...]:
    return state.values, {name: [bytes(each) for each in pieces] for name, pieces in state.arrays.items()}


@pytest.mark.parametrize("parts", [progress_reader.PARTS, memory.PARTS])
@given(messages=st.lists(_MESSAGES, max_size=30))
def test_parts_count_as_whole_messages_do(parts: Parts, messages: list[Message]) -> None:
    of_whole, of_parts = Progress(), Progress()
    for message in messages:
        of_whole.apply(message)
        of_parts.apply(part_of(message, parts))
    assert of_parts == of_whole
    assert held(of_parts.snapshot()) == held(of_whole.snapshot())


@given(messages=st.lists(_MESSAGES, max_size=30))
def test_prompts_show_the_same_of_parts(messages: list[Message]) -> None:
    of_whole, of_parts = SamplingPool(), SamplingPool()
    for message in messages:
        of_whole.apply(message)
        of_parts.apply(part_of(message, memory.PARTS))
    assert held(of_parts.snapshot()) == held(of_whole.snapshot())


Damage = Callable[[Record], Record]


def with_value(value: bytes | None) -> Damage:
    return lambda record: structs.replace(record, value=value)


def of_type(kind: str) -> Damage:
    return lambda record: structs.replace(record, headers=(("ce_type", kind.encode()), *record.headers))


def without_a_seq(record: Record) -> Record:
    return structs.replace(record, value=(record.value or b"").replace(b"seq", b"sea"))


@pytest.mark.parametrize(
    "message", [examples.prompt(1), examples.decision(1), examples.task_instances("p0.0"), examples.finished(0)]
)
@pytest.mark.parametrize(
    "damage",
    [
        with_value(None),
        with_value(b""),
        with_value(b"{"),
        with_value(b"{}"),
        with_value(b"[]"),
        with_value(b"[" * 100_000),
        of_type("io.seedstream.other.v1"),
        of_type("foreign"),
        without_a_seq,
    ],
)
def test_parts_of_unreadable_records_are_refused(message: Message, damage: Damage) -> None:
    topic = TOPIC_OF_TYPE[type(message)]
    record = damage(record_of(message))
    with pytest.raises(DecodeError) as expected:
        codec.decode(topic, record)
    with pytest.raises(DecodeError) as refused:
        codec.part_decoder(progress_reader.PARTS[topic.name])(record)
    assert type(refused.value) is type(expected.value)
    assert str(refused.value).partition(": ")[0] == str(expected.value).partition(": ")[0]


@pytest.mark.parametrize("topic", [PROMPTS, DECISIONS, INSTANCES])
def test_a_part_of_a_newer_version_is_named(topic: Topic[Message]) -> None:
    headers = (("ce_type", topic.types[0].ce_type.replace("v1", "v2").encode()), ("seedstream_version", b"99.0"))
    record = Record(Partition(topic.of(RUN), 0), 7, None, b"{}", headers, 0)
    with pytest.raises(NewerVersionError, match=r"Seedstream 99\.0 wrote"):
        codec.part_decoder(progress_reader.PARTS[topic.name])(record)


def test_a_record_does_not_keep_a_part() -> None:
    record = record_of(examples.prompt(1))
    codec.part_decoder(progress_reader.PARTS["prompts"])(record)
    assert record.decoded is None
