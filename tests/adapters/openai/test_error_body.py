"""Error messages of servers, in all their shapes."""

import orjson
import pytest

from service.adapters.openai.error_body import ErrorBody, read_error_body
from service.adapters.openai.error_response import refusal_inside
from service.lm.errors import AttemptFailedError
from service.lm.usage import Usage


@pytest.mark.parametrize(
    ("body", "error_body"),
    [
        (b"plain", ErrorBody("plain")),
        (b"\xff", ErrorBody("\ufffd")),
        (b"7", ErrorBody("7")),
        (b"{}", ErrorBody("")),
        (b'{"error": {}}', ErrorBody('{"error":{}}')),
        (b'{"error": {"message": {"a": 1}, "code": 7}}', ErrorBody('{"a":1}', "7")),
        (b'{"error": "text", "error_type": "validation"}', ErrorBody("text", "validation")),
        (b'{"code": "invalid", "error": "text"}', ErrorBody("text", "invalid")),
        (b'{"message": "flat", "type": "t", "param": "stop", "code": 400}', ErrorBody("flat", "400 t", "stop")),
        (b'{"detail": []}', ErrorBody(": null")),
        (
            b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}',
            ErrorBody("seed: Extra inputs", "extra_forbidden", "seed"),
        ),
    ],
)
def test_an_error_message_is_found_in_any_shape(body: bytes, error_body: ErrorBody) -> None:
    assert read_error_body(body) == error_body


def test_only_the_beginning_of_a_long_body_is_read() -> None:
    assert len(read_error_body(b"x" * 100_000).message) == 1_000
    assert len(read_error_body(orjson.dumps({"error": {"message": "x" * 100_000}})).message) == 1_000


def test_an_error_inside_a_200_is_judged_by_the_status_it_names() -> None:
    reply = {"error": {"message": "Provider returned error", "code": 429, "type": "7"}}
    refusal = refusal_inside("http://host", reply, (), Usage(3, 0))
    assert refusal.status == 429
    error = refusal.as_error()
    assert isinstance(error, AttemptFailedError)
    assert error.usage == Usage(3, 0)
    assert "429" in str(error)
