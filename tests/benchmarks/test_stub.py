import orjson
import pytest

from benchmarks.stub import TASKS, Replies, kind_of
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form, Recipe, RecipeName, recipe_for


def completion(kind: str) -> str:
    """Return the first reply of a kind, as a client reads it from the response."""
    choice = orjson.loads(Replies(1).next(kind, 0).partition(b"\r\n\r\n")[2])["choices"][0]
    text: str = choice["message"]["content"] if "message" in choice else choice["text"]
    return text


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [
        ("alpaca", ALPACA),
        ("json", recipe_for(RecipeName.ALPACA, Form.JSON, chat_model=True)),
        ("tasks", SELF_INSTRUCT),
    ],
)
def test_a_reply_has_all_its_tasks(kind: str, recipe: Recipe) -> None:
    candidates = parse_instructions(recipe, completion(kind), truncated=False)
    assert [candidate.rejection for candidate in candidates] == [None] * TASKS


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"prompt":"...","max_tokens":3072}', "alpaca"),
        (b'{"messages":[],"max_tokens":3072}', "json"),
        (b'{"prompt":"...","max_tokens":1024}', "tasks"),
        (b'{"prompt":"...","max_tokens":350}', "instances"),
        (b'{"prompt":"...","max_tokens":3}', "verdict"),
    ],
)
def test_a_request_is_known_by_its_limit(body: bytes, kind: str) -> None:
    assert kind_of(body) == kind


def test_replies_come_in_turn_and_then_again() -> None:
    replies = Replies(2)
    assert [replies.next("alpaca", number) for number in (2, 3)] == [
        replies.next("alpaca", number) for number in (0, 1)
    ]
    assert replies.next("alpaca", 0) != replies.next("alpaca", 1)
