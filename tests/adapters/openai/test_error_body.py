"""What servers say went wrong, in all the shapes they say it."""

import orjson
import pytest

from service.adapters.openai.error_body import Saying, read_saying
from service.adapters.openai.error_response import refusal_inside
from service.lm.errors import AttemptFailedError
from service.lm.usage import Usage


@pytest.mark.parametrize(
    ("body", "saying"),
    [
        (b"plain", Saying("plain")),
        (b"\xff", Saying("\ufffd")),
        (b"7", Saying("7")),
        (b"{}", Saying("")),
        (b'{"error": {}}', Saying('{"error":{}}')),
        (b'{"error": {"message": {"a": 1}, "code": 7}}', Saying('{"a":1}', "7")),
        (b'{"error": "text", "error_type": "validation"}', Saying("text", "validation")),
        (b'{"code": "invalid", "error": "text"}', Saying("text", "invalid")),
        (b'{"message": "flat", "type": "t", "param": "stop", "code": 400}', Saying("flat", "400 t", "stop")),
        (b'{"detail": []}', Saying(": null")),
        (
            b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}',
            Saying("seed: Extra inputs", "extra_forbidden", "seed"),
        ),
    ],
)
def test_what_a_server_says_is_found_in_any_shape(body: bytes, saying: Saying) -> None:
    assert read_saying(body) == saying


def test_only_the_beginning_of_a_long_body_is_read() -> None:
    assert len(read_saying(b"x" * 100_000).message) == 1_000
    assert len(read_saying(orjson.dumps({"error": {"message": "x" * 100_000}})).message) == 1_000


def test_an_error_inside_a_good_answer_is_judged_by_the_status_it_names() -> None:
    reply = {"error": {"message": "Provider returned error", "code": 429, "type": "7"}}
    refusal = refusal_inside("http://host", reply, (), Usage(3, 0))
    assert refusal.status == 429
    error = refusal.as_error()
    assert isinstance(error, AttemptFailedError)
    assert error.usage == Usage(3, 0)
    assert "429" in str(error)
