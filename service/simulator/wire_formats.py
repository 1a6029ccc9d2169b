"""Request and response formats of completions and chat completions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from msgspec import Struct

from service.simulator.error_responses import BadRequestError
from service.simulator.text.generator import count_tokens
from service.simulator.text.json_answers import wanted_stage
from service.simulator.text.prompt_parser import Stage

Body = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed request; `json_stage` is the stage to answer in JSON, None if the request asks for text."""

    dialect: "Dialect"
    prompt: str
    prompt_tokens: int
    model: str | None
    stop: tuple[str, ...]
    max_tokens: int | None
    json_stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call, with OpenAI's finish reason; `text` is None if all tokens went into reasoning."""

    text: str | None
    finish_reason: str
    tokens: int
    reasoning: str | None = None

    @property
    def reasoning_tokens(self) -> int:
        """Number of tokens that went into reasoning: all of them or 0."""
        return 0 if self.reasoning is None else self.tokens


class Dialect(Struct, frozen=True):
    """The differences between the two endpoints: object type, id prefix, prompt and choice."""

    kind: str
    id_prefix: str
    prompt: Callable[[Body], str]
    choice: Callable[[Answer], dict[str, object]]

    def parse(self, raw: bytes) -> Call:
        """Parse the JSON body of a request.

        Raises:
            BadRequestError: the body is malformed or asks for an unsupported feature (`stream`, several choices).
        """
        body = json_object(raw)
        if body.get("stream"):
            raise BadRequestError("stream is true; the simulator answers in one piece only")
        if body.get("n", 1) not in (None, 1):
            raise BadRequestError(f"n is {body['n']!r}; the simulator gives one choice")
        prompt = self.prompt(body)
        return Call(
            self,
            prompt,
            count_tokens(prompt) + _tokens_before(body),
            _optional(body, "model", str),
            _stop(body),
            _max_tokens(body),
            wanted_stage(body),
        )


def json_object(raw: bytes) -> Body:
    """Return the JSON object in the body of a request.

    Raises:
        BadRequestError: there is none.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as cause:
        raise BadRequestError(f"the body is not JSON: {cause}") from cause
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    return body


def _optional(body: Body, name: str, kind: type[T]) -> T | None:
    value = body.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise BadRequestError(f"{name} is {value!r}; expected {kind.__name__}")


def _max_tokens(body: Body) -> int | None:
    for name in ("max_tokens", "max_completion_tokens"):
        value = _optional(body, name, int)
        if value is not None and value < 1:
            raise BadRequestError(f"{name} must be at least 1, got {value}")
        if value is not None:
            return value
    return None


def _stop(body: Body) -> tuple[str, ...]:
    value = body.get("stop") or []
    strings = [value] if isinstance(value, str) else value
    if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
        raise BadRequestError(f"stop is {value!r}; expected a string or a list of strings")
    return tuple(string for string in strings if string)


def _tokens_before(body: Body) -> int:
    """Count the tokens of the system messages, which precede the prompt."""
    messages = body.get("messages")
    said = [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    texts = [each.get("content") for each in said if each.get("role") == "system"]
    return sum(count_tokens(text) for text in texts if isinstance(text, str))


def _completion_prompt(body: Body) -> str:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    raise BadRequestError("prompt is missing or not one string")


def _chat_prompt(body: Body) -> str:
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _content(message.get("content"))
    raise BadRequestError("messages hold no message of the user")


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequestError("content of the last user message is neither a string nor a list of parts")
    return "".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)


def _completion_choice(answer: Answer) -> dict[str, object]:
    return {"text": answer.text, **_reasoning(answer)}


def _chat_choice(answer: Answer) -> dict[str, object]:
    content = None if answer.text is None else answer.text.strip()
    return {"message": {"role": "assistant", "content": content, **_reasoning(answer)}}


def _reasoning(answer: Answer) -> dict[str, object]:
    return {} if answer.reasoning is None else {"reasoning": answer.reasoning.strip()}


COMPLETIONS = Dialect("text_completion", "cmpl", _completion_prompt, _completion_choice)
CHAT = Dialect("chat.completion", "chatcmpl", _chat_prompt, _chat_choice)


class Served(Struct, frozen=True):
    """The identification of a response: id without prefix, model name and creation time (Unix time in seconds)."""

    id: str
    model: str
    created: int


def document(call: Call, served: Served, answer: Answer) -> dict[str, Any]:
    """Build the body of a response, before serialisation."""
    choice = {"index": 0, **call.dialect.choice(answer), "logprobs": None, "finish_reason": answer.finish_reason}
    return {
        "id": f"{call.dialect.id_prefix}-{served.id}",
        "object": call.dialect.kind,
        "created": served.created,
        "model": served.model,
        "choices": [choice],
        "usage": _usage(call.prompt_tokens, answer),
    }


def _usage(prompt_tokens: int, answer: Answer) -> dict[str, object]:
    usage: dict[str, object] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": prompt_tokens + answer.tokens,
    }
    if answer.reasoning_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.reasoning_tokens}
    return usage
