"""Lines of batch files: how they are written, split and parsed."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.openai_batch.api_objects import file_name, is_ours, read_batch, read_file, read_object, read_page
from service.adapters.openai_batch.jsonl import (
    Result,
    Splitter,
    custom_id,
    envelope_bytes,
    read_name,
    read_result,
    request_line,
)
from service.lm.errors import AttemptFailedError

BATCH = {"id": "b", "status": "in_progress", "created_at": 1, "input_file_id": "f", "metadata": None, "errors": None}


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)), st.data())
def test_lines_are_found_wherever_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(lines)
    splitter = Splitter()
    found: list[bytes] = []
    while content:
        size = data.draw(st.integers(1, len(content)))
        found += splitter.lines(content[:size])
        content = content[size:]
    found += splitter.lines(b"\n")
    assert found == [line for line in lines if line.strip()]


def test_a_line_without_an_end_is_refused() -> None:
    splitter = Splitter()
    splitter.lines(b"x" * 9_000_000)
    with pytest.raises(AttemptFailedError, match="longer than"):
        splitter.lines(b"x" * 1_000_000)


@given(st.text())
def test_a_request_line_has_its_estimated_size(prompt: str) -> None:
    body = orjson.dumps({"prompt": prompt})
    line = request_line(custom_id(body), "/v1/completions", body)
    assert len(line) == envelope_bytes("/v1/completions") + len(body)
    assert line.count(b"\n") == 1
    assert read_name(line) == custom_id(body)


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ({"custom_id": "a", "response": {"status_code": 200, "body": {"b": 1}}}, Result("a", 200, b'{"b":1}')),
        ({"custom_id": "a", "response": {"status_code": 500, "body": "oh"}, "error": None}, Result("a", 500, b"oh")),
        ({"custom_id": "a", "response": None, "error": {"c": 1}}, Result("a", None, b'{"error":{"c":1}}')),
        ({"custom_id": "a", "response": {"body": {}}}, Result("a", None, b'{"error":null}')),
        ({"custom_id": 1, "response": {}}, None),
        ({}, None),
        ([], None),
        ("{", None),
    ],
)
def test_a_result_is_read_or_skipped(line: Any, result: Result | None) -> None:
    assert read_result(line.encode() if isinstance(line, str) else orjson.dumps(line)) == result


def test_equal_requests_have_equal_names_and_others_do_not() -> None:
    assert custom_id(b"a") == custom_id(b"a") != custom_id(b"b")
    assert len(custom_id(b"a")) == 64


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_file_belongs_to_one_run(run: str, other: str) -> None:
    name = file_name(run, custom_id(b"a"))
    assert name.isascii()
    assert not set(name) & set('"\\/\r\n')
    assert is_ours(name, run)
    assert is_ours(name, other) == (run == other)


@pytest.mark.parametrize("other", ["a", "a-b", "a-0123456789abcdef", ""])
def test_a_run_with_the_same_name_prefix_is_another_run(other: str) -> None:
    assert not is_ours(file_name("a-0123456789abcdef-b", custom_id(b"a")), other)


@pytest.mark.parametrize(
    "change", [{"id": None}, {"status": ""}, {"created_at": "today"}, {"created_at": True}, {"input_file_id": 7}]
)
def test_an_invalid_batch_is_skipped_in_a_list_and_retried_alone(change: dict[str, Any]) -> None:
    with pytest.raises(AttemptFailedError, match="without"):
        read_batch(BATCH | change)
    assert read_page({"data": [BATCH | change, BATCH, "x"]}, read_batch).entries == [read_batch(BATCH)]


def test_a_list_ends_where_the_server_says_so() -> None:
    assert read_page({"data": [BATCH], "has_more": True}, read_batch).next == "b"
    assert read_page({"data": [BATCH], "has_more": False}, read_batch).next is None
    assert read_page({"data": [], "has_more": True}, read_batch).next is None
    assert read_page({"data": None}, read_batch).entries == []


def test_a_body_that_is_no_object_is_retried() -> None:
    for body in (b"[]", b"<html>", b""):
        with pytest.raises(AttemptFailedError):
            read_object(body)
    with pytest.raises(AttemptFailedError):
        read_file({"filename": "a"})
