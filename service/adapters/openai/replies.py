"""What is in an answer with status 200: a completion, or less. Pure.

An answer is never trusted for its status alone: gateways send errors with 200, engines abort with 200.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

import orjson

from service.adapters.openai.profiles import Api
from service.adapters.openai.refusals import refusal_inside
from service.adapters.openai.saying import shown
from service.adapters.openai.thinking import ONLY_THINKING, without_thinking
from service.adapters.openai.usages import read_usage
from service.errors import AttemptFailedError, Failing
from service.lm import Completion, FinishReason
from service.usage import Usage

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_ABORTED = frozenset({"abort", "aborted", "cancelled", "canceled"})
_REASONING = ("reasoning", "reasoning_content")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer answers: where and how it was asked for, and what must not be repeated of it."""

    url: str
    api: Api
    model: str
    stop: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A completion, and whether a stop string cut it short in the middle of thinking."""

    completion: Completion
    is_stopped_thinking: bool = False


def read_completion(body: bytes, asked: Asked) -> Reading:
    """Return the completion in a body that came with 200.

    Thinking is no part of its text; the stop strings are applied again, for servers ignore them or take only some.

    Raises:
        AttemptFailedError: the body is not a completion; it carries what the server counted all the same.
        CallFailedError, EndpointRefusedError: the body holds an error, and says that it will not pass.
    """
    reply = _object(body)
    return _Reply(reply, asked, read_usage(reply.get("usage"))).read()


def read_object(body: bytes, url: str, secrets: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the object in a body that came with 200 and holds no completion.

    Raises:
        AttemptFailedError, CallFailedError, EndpointRefusedError: as for `read_completion`.
    """
    reply = _object(body)
    if reply.get("error"):
        raise refusal_inside(url, reply, secrets, None).as_error()
    return reply


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer that is being read, and what it says it took."""

    reply: Mapping[str, Any]
    asked: Asked
    usage: Usage | None

    def read(self) -> Reading:
        if self.reply.get("error"):
            raise refusal_inside(self.asked.url, self.reply, self.asked.secrets, self.usage).as_error()
        choice = self._first_choice()
        ended = self._finish(choice)
        written, finish = self._text(choice, ended)
        answer = without_thinking(written)
        if answer is None:
            stopped = ended is FinishReason.STOP
            return Reading(Completion("", FinishReason.LENGTH, self._model(), self.usage), stopped)
        text, finish = _cut(answer, finish, self.asked.stop)
        return Reading(Completion(text, finish, self._model(), self.usage))

    def _first_choice(self) -> Mapping[str, Any]:
        choices = self.reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            self._fail("a first element of `choices`")
        return choices[0]

    def _finish(self, choice: Mapping[str, Any]) -> FinishReason:
        reason = choice.get("finish_reason")
        finish = _FINISH_REASONS.get(reason.lower()) if isinstance(reason, str) else None
        if finish is None:
            came = shown(str(reason), self.asked.secrets)
            failing = Failing.ABORTED if came.lower() in _ABORTED else Failing.INVALID_BODY
            self._fail(f"a finish_reason of stop, length or content_filter (it has {came})", failing)
        return finish

    def _text(self, choice: Mapping[str, Any], finish: FinishReason) -> tuple[str, FinishReason]:
        if self.asked.api == "completions":
            return self._known(_joined(choice.get("text")), finish, "text")
        message = choice.get("message")
        if not isinstance(message, dict):
            self._fail("an object in `message`")
        content = _joined(message.get("content"))
        if content is None and message.get("refusal"):
            return "", FinishReason.CONTENT_FILTER
        if content is None and any(message.get(name) for name in _REASONING):
            return ONLY_THINKING, finish
        return self._known(content, finish, "message.content")

    def _known(self, content: str | None, finish: FinishReason, where: str) -> tuple[str, FinishReason]:
        """Return the text; one that a limit or a filter left nothing of is empty, and asking again would not help."""
        if content is None and finish is FinishReason.STOP:
            self._fail(f"a string in `{where}`")
        return content or "", finish

    def _model(self) -> str:
        name = self.reply.get("model")
        if not isinstance(name, str) or not name:
            return self.asked.model
        return name if name == self.asked.model else shown(name, self.asked.secrets)

    def _fail(self, expected: str, failing: Failing = Failing.INVALID_BODY) -> Never:
        raise _invalid(expected, failing, self.usage)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        page = body.lstrip()[:1] == b"<"
        hint = "JSON, but a page for people: does the base URL end with /v1?" if page else f"JSON ({error})"
        raise _invalid(hint) from error
    if not isinstance(reply, dict):
        raise _invalid("a JSON object")
    return reply


def _invalid(expected: str, failing: Failing = Failing.INVALID_BODY, usage: Usage | None = None) -> AttemptFailedError:
    return AttemptFailedError(failing, f"The server answered 200, but its body lacks {expected}.", usage=usage)


def _joined(content: object) -> str | None:
    """Return a text, which some servers send in parts; none where there is none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    found = [text for text in texts if isinstance(text, str)]
    return "".join(found) if found else None


def _cut(text: str, finish: FinishReason, stop: tuple[str, ...]) -> tuple[str, FinishReason]:
    ends = [end for end in map(text.find, stop) if end >= 0]
    return (text[: min(ends)], FinishReason.STOP) if ends else (text, finish)
