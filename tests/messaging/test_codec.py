import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs
from msgspec.structs import replace

from service.errors import DecodeError
from service.messaging import codec, topics
from service.messaging.broker import NewRecord, Partition, Record
from service.messaging.codec import cause_of, decode, encode, has_cause, header
from service.messaging.messages import CandidateVerdict, Decision, GoalSet, Message, Origin, PooledTask
from service.messaging.topics import ALL, TOPIC_OF_TYPE
from tests.support import examples
from tests.support.logs import RUN
from tests.support.newer import changed

TYPES = list(TOPIC_OF_TYPE)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def as_read(new: NewRecord, number: int = 2, offset: int = 7) -> Record:
    return Record(Partition(new.topic, number), offset, new.key, new.value, new.headers, 0)


def any_message(kind: type[Struct]) -> st.SearchStrategy[Any]:
    fields = {field.name: st.from_type(field.type) for field in structs.fields(kind)}
    if "target" in fields:
        fields["target"] = st.integers(0)
    return st.builds(kind, **fields)


for each in (CandidateVerdict, GoalSet):
    st.register_type_strategy(each, any_message(each))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
@settings(max_examples=10)
@given(data=st.data())
def test_every_message_comes_back_as_it_was(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(any_message(kind))
    record = encode(message, RUN)
    assert record.topic == TOPIC_OF_TYPE[kind].of(RUN)
    assert decode(TOPIC_OF_TYPE[kind], as_read(record)) == message


def test_every_type_belongs_to_one_topic_and_has_its_own_name() -> None:
    assert len({kind.ce_type for kind in TYPES}) == len(TYPES) == sum(len(topic.types) for topic in ALL)


def test_a_record_carries_cloud_events_headers_and_its_cause() -> None:
    cause = as_read(encode(examples.prompt(1), RUN))
    record = encode(examples.answer(1), RUN, cause)
    assert record.key == b"p1"
    expected = {
        "ce_specversion": "1.0",
        "ce_type": "io.seedstream.answer.v1",
        "ce_id": "p1",
        "ce_source": "/seedstream/r",
        "content-type": "application/json",
        "seedstream_cause": "seedstream.r.prompts/2/7",
    }
    assert {name: header(record.headers, name) for name in expected} == expected
    assert cause_of(as_read(record)) == (Partition("seedstream.r.prompts", 2), 7)


def test_a_trace_continues_from_cause_to_result_in_a_new_span() -> None:
    first = encode(examples.prompt(1), RUN)
    second = encode(examples.answer(1), RUN, as_read(first))
    other = encode(examples.prompt(1), RUN)
    traces = [(header(record.headers, "traceparent") or "").split("-") for record in (first, second, other)]
    assert all([len(part) for part in trace] == [2, 32, 16, 2] for trace in traces)
    assert traces[0][1] == traces[1][1] != traces[2][1]
    assert traces[0][2] != traces[1][2]


@pytest.mark.parametrize("trace", [b"", b"x", b"00-abc", b"\xff\xfe", b"a-b-c-d", b"00-" + b"x" * 32 + b"-00-01"])
def test_a_broken_trace_is_replaced_by_a_new_one(trace: bytes) -> None:
    cause = structs.replace(as_read(encode(examples.prompt(1), RUN)), headers=(("traceparent", trace),))
    begun = header(encode(examples.answer(1), RUN, cause).headers, "traceparent") or ""
    assert [len(part) for part in begun.split("-")] == [2, 32, 16, 2]


def test_a_record_without_a_cause_has_none() -> None:
    record = as_read(encode(examples.prompt(1), RUN))
    assert (has_cause(record), cause_of(record)) == (False, None)


@pytest.mark.parametrize(
    "cause",
    [
        b"",
        b"nonsense",
        b"topic/x/y",
        b"topic/0/-1",
        b"topic/-1/0",
        b"/0/0",
        b"topic/0/" + b"9" * 20,
        b"topic/0/" + b"9" * 5_000,
        b"topic/" + b"9" * 11 + b"/0",
        b"topic/0/0\n",
        "topic/0/٣".encode(),
        b"\xff\xfe",
    ],
)
def test_a_malformed_cause_is_none(cause: bytes) -> None:
    record = structs.replace(as_read(encode(examples.answer(1), RUN)), headers=(("seedstream_cause", cause),))
    assert (has_cause(record), cause_of(record)) == (True, None)


def refusal(topic: topics.Topic[Message], record: NewRecord) -> str:
    with pytest.raises(DecodeError) as caught:
        codec.decode(topic, as_read(record))
    return str(caught.value)


GOOD = encode(examples.prompt(1), RUN)


def test_an_error_names_the_offset_the_type_and_the_field() -> None:
    wrong = replace(GOOD, value=(GOOD.value or b"").replace(b'"seq":1', b'"seq":"one"'))
    message = refusal(topics.PROMPTS, wrong)
    assert message.startswith("seedstream.r.prompts/2/7: io.seedstream.prompt.v1: seq: ")


def test_an_error_names_a_field_inside_another() -> None:
    record = encode(examples.answer(1), RUN)
    wrong = replace(record, value=(record.value or b"").replace(b'"attempts":1', b'"attempts":null'))
    assert "answer.v1: call.attempts: " in refusal(topics.CANDIDATES, wrong)


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"[]", b"null", b'{"id":"p1"}', None])
def test_a_value_that_is_no_message_is_refused(value: bytes | None) -> None:
    assert refusal(topics.PROMPTS, replace(GOOD, value=value)).startswith("seedstream.r.prompts/2/7: ")


def test_an_error_does_not_repeat_the_value() -> None:
    assert "hunter2" not in refusal(topics.PROMPTS, replace(GOOD, value=b'{"id": ["hunter2"]}'))


@pytest.mark.parametrize("name", [None, "", "io.seedstream.answer.v1", "io.seedstream.prompt.v2"])
def test_a_type_of_another_topic_is_refused(name: str | None) -> None:
    headers = () if name is None else (("ce_type", name.encode()),)
    message = refusal(topics.PROMPTS, replace(GOOD, headers=headers))
    assert "expected a record of type io.seedstream.prompt.v1" in message
    assert repr(name) in message


def test_unknown_fields_are_ignored_at_every_depth() -> None:
    record = encode(examples.answer(1, "Name a river."), RUN)
    value = (record.value or b"").replace(b'"model":', b'"new":{"a":[1]},"model":')
    value = value.replace(b'"prompt_tokens":', b'"new":1,"prompt_tokens":').replace(
        b'"position":', b'"new":1,"position":'
    )
    assert value.count(b'"new"') == 3
    assert decode(topics.CANDIDATES, as_read(replace(record, value=value))) == examples.answer(1, "Name a river.")


def test_a_record_is_decoded_once() -> None:
    record = as_read(encode(examples.answer(1), RUN))
    assert decode(topics.CANDIDATES, record) is decode(topics.CANDIDATES, record)
    assert record == as_read(NewRecord(record.partition.topic, record.value, record.key, record.headers))


def test_a_copy_with_other_content_is_decoded_anew() -> None:
    record = as_read(encode(examples.prompt(1), RUN))
    assert decode(topics.PROMPTS, record) == examples.prompt(1)
    other = replace(record, value=encode(examples.prompt(2), RUN).value)
    assert decode(topics.PROMPTS, other) == examples.prompt(2)
    with pytest.raises(DecodeError, match=r"got 'prompt\.v9'"):
        decode(topics.PROMPTS, replace(record, headers=(("ce_type", b"prompt.v9"),)))
    with pytest.raises(DecodeError, match="got none"):
        decode(topics.PROMPTS, replace(record, value=None))
    with pytest.raises(DecodeError, match=r"expected a record of type io\.seedstream\.decision"):
        decode(topics.DECISIONS, record)


WRONG: dict[str, tuple[Message, str, object, str]] = {
    "a number as a text": (examples.prompt(1), "seq", "1", "seq: Expected `int`, got `str`"),
    "a fraction": (examples.prompt(1), "seq", 1.5, "seq: Expected `int`, got `float`"),
    "a truth for a number": (examples.prompt(1), "seq", True, "seq: Expected `int`, got `bool`"),
    "a number for a text": (examples.prompt(1), "text", 5, "text: Expected `str`, got `int`"),
    "null": (examples.prompt(1), "text", None, "text: Expected `str`, got `null`"),
    "a text for a list": (examples.prompt(1), "demonstrations", "s0", "demonstrations: Expected `array`, got `str`"),
    "a number within a list": (examples.prompt(1), "demonstrations", ["s0", 1], "demonstrations[1]: Expected `str`"),
    "an unknown form": (examples.prompt(1), "form", "hunter2", "form: expected a value that this version"),
    "a list for an object": (examples.answer(1), "call", [], "call: Expected `object`, got `array`"),
    "a negative target": (examples.goal(1), "target", -1, "target: Expected `int` >= 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_of_another_type_is_refused(name: str) -> None:
    message, field, value, told = WRONG[name]
    record = changed(message, lambda fields: fields.update({field: value}))
    refused = refusal(TOPIC_OF_TYPE[type(message)], record)
    assert f"{message.ce_type}: {told}" in refused
    assert "hunter2" not in refused


@pytest.mark.parametrize("topic", [topics.PROMPTS, topics.CONTROL])
def test_a_value_nested_without_end_is_refused(topic: topics.Topic[Message]) -> None:
    kind = topic.types[0].ce_type.encode()
    deep = NewRecord(topic.of(RUN), b'{"run":' + b"[" * 100_000, headers=(("ce_type", kind),))
    assert "recursion" in refusal(topic, deep)


VERDICT = CandidateVerdict(id="p0.0", reason=None)
TASK = PooledTask(pool_seq=0, id="s0", origin=Origin.HUMAN, instruction="Name a river.")


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (examples.prompt(0), {"system", "form", "topic"}),
        (examples.answer(0), {"topic"}),
        (examples.failed(0), {"topic"}),
        (examples.decision(0), {"topic"}),
        (Decision(prompt_id="p0", prompt_seq=0, recipe="rr", pool_size=0), {"topic"}),
        (examples.finished(0), {"topic", "instances_model"}),
        (TASK, {"embedding"}),
        (examples.goal(1), {"price", "stages", "paused"}),
        (examples.classified("p0.0", is_classification=None), set[str]()),
        (examples.task_instances("p0.0"), set[str]()),
    ],
)
def test_a_field_without_a_value_is_null_unless_added_later(message: Message, missing: set[str]) -> None:
    written = json.loads(message.to_json())
    assert set(message.__struct_fields__) - set(written) == missing
    assert "topic" not in json.dumps(written)
    assert json.loads(msgspec.json.encode(VERDICT)) == {"id": "p0.0", "reason": None, "nearest": None, "score": None}


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_message_has_a_json_schema(kind: type[Message]) -> None:
    _, components = msgspec.json.schema_components([kind])
    assert list(components[kind.__name__]["properties"]) == list(kind.__struct_fields__)
