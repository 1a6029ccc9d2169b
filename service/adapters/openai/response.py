"""Parses responses with status 200. Pure.

Status 200 does not imply a completion: gateways send errors with it, and engines send aborted completions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

from msgspec import Struct

from service.adapters.openai.error_body import shown
from service.adapters.openai.error_response import Refusal, refusal_inside
from service.adapters.openai.json_bodies import decoded
from service.adapters.openai.server_profiles import Api
from service.adapters.openai.token_usage import read_usage
from service.lm.call_cost import CallCost
from service.lm.errors import AttemptFailedError, CallFailedError, Failing
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.replies.leaks import without_echo, without_thinking

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
_TOOL_CALLS = frozenset({"tool_calls", "function_call"})
_ABORTED = frozenset({"abort", "aborted", "cancelled", "canceled"})
_REASONING = ("reasoning", "reasoning_content")


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that a response belongs to, and the secrets that messages must not repeat."""

    url: str
    api: Api
    model: str
    stop: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    prompt: ModelInput | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A completion, and whether the reply contains reasoning text (`thought`) or nothing else (`only_thought`).

    `was_stopped`: a stop string ended the reply within the reasoning text.
    """

    completion: Completion
    thought: bool = False
    only_thought: bool = False
    was_stopped: bool = False


def read_completion(body: bytes, asked: Asked) -> Reading | Refusal:
    """Return the completion in a body with status 200, or the refusal if the body is an error body.

    Reasoning text and an echo of the prompt are removed. The rest is cut at the stop strings, since servers ignore them
    or accept only some.

    Raises:
        AttemptFailedError: the body is not a completion; the error carries the usage that the server reported.
        CallFailedError: the reply has no text, and the server would reply the same again.
    """
    reply = _object(body)
    usage = read_usage(reply.get("usage"))
    if reply.get("error"):
        return refusal_inside(asked.url, reply, asked.secrets, usage)
    return _Reply(reply, asked, usage).read()


def read_object(body: bytes, url: str, secrets: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the JSON object in a body with status 200, for requests other than completions.

    Raises:
        AttemptFailedError, CallFailedError, EndpointRefusedError: as for `read_completion`.
    """
    reply = _object(body)
    if reply.get("error"):
        raise refusal_inside(url, reply, secrets, None).as_error()
    return reply


class _Reply(Struct, frozen=True):
    """A decoded response body with its request and its usage."""

    reply: Mapping[str, Any]
    asked: Asked
    usage: Usage | None

    def read(self) -> Reading:
        choice = self._first_choice()
        written, beside = self._text(choice)
        finish = self._finish(choice, written)
        thought = bool(beside) or self._counted_thinking
        if written is None and not thought:
            return Reading(self._completion(self._nothing(finish), finish))
        prompt = self.asked.prompt
        text = without_echo(written or "", prompt.as_text if prompt is not None else "")
        answer = without_thinking(text)
        is_empty = answer is None or not answer.strip()
        if is_empty and (thought or answer is None) and finish is not FinishReason.CONTENT_FILTER:
            return self._only_thought(beside, finish)
        thought = thought or answer != text
        cut, finish = _cut((answer or "").lstrip("\r\n"), finish, self.asked.stop)
        return Reading(self._completion(cut, finish), thought)

    def _only_thought(self, beside: str, finish: FinishReason) -> Reading:
        """Read a reply that is reasoning text alone; some servers put a JSON answer there."""
        schema = self.asked.prompt.schema if self.asked.prompt is not None else None
        if schema is not None and schema.fits(beside):
            return Reading(self._completion(beside, finish, in_reasoning=True), thought=True)
        stopped = finish is FinishReason.STOP and bool(self.asked.stop)
        return Reading(self._completion("", finish), thought=True, only_thought=True, was_stopped=stopped)

    @property
    def _counted_thinking(self) -> bool:
        return self.usage is not None and self.usage.reasoning_tokens > 0

    def _completion(self, text: str, finish: FinishReason, *, in_reasoning: bool = False) -> Completion:
        return Completion(text, finish, self._model(), self.usage, in_reasoning=in_reasoning)

    def _first_choice(self) -> Mapping[str, Any]:
        choices = self.reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            self._fail("a first element of `choices`")
        return choices[0]

    def _finish(self, choice: Mapping[str, Any], text: str | None) -> FinishReason:
        """Return the finish reason; a text without one counts as complete."""
        reason = choice.get("finish_reason")
        finish = _FINISH_REASONS.get(reason.lower()) if isinstance(reason, str) else None
        if finish is None and reason is None and text and text.strip():
            return FinishReason.STOP
        if finish is None:
            came = shown(str(reason), self.asked.secrets)
            expected = f"a finish_reason of stop, length or content_filter (it has {came})"
            if reason is None or came.lower() in _TOOL_CALLS:
                called = "the model called a tool instead" if came.lower() in _TOOL_CALLS else "there is no text"
                message = f"{_lacks(expected)} The call is not made again: {called}."
                raise CallFailedError(message, Failing.NO_ANSWER, cost=CallCost(wasted=self.usage))
            self._fail(expected, Failing.ABORTED if came.lower() in _ABORTED else Failing.INVALID_BODY)
        return finish

    def _text(self, choice: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the text, or `None`, and the reasoning text in its own field, or an empty string.

        A `refusal` in the message counts as the text if there is no other.
        """
        if self.asked.api == "completions":
            return _joined(choice.get("text")), ""
        message = choice.get("message")
        if not isinstance(message, dict):
            self._fail("an object in `message`")
        content, refusal = _joined(message.get("content")), message.get("refusal")
        if content is None and isinstance(refusal, str) and refusal:
            return refusal, ""
        return content, next((text for name in _REASONING if (text := _joined(message.get(name)))), "")

    def _nothing(self, finish: FinishReason) -> str:
        """Return an empty text if the token limit or a filter left none; otherwise raise, since a retry may help."""
        if finish is FinishReason.STOP:
            self._fail(f"a string in `{'text' if self.asked.api == 'completions' else 'message.content'}`")
        return ""

    def _model(self) -> str:
        name = self.reply.get("model")
        if not isinstance(name, str) or not name:
            return self.asked.model
        return name if name == self.asked.model else shown(name, self.asked.secrets)

    def _fail(self, expected: str, failing: Failing = Failing.INVALID_BODY) -> Never:
        raise _invalid(expected, failing, self.usage)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        reply = decoded(body)
    except ValueError as error:
        page = body.lstrip()[:1] == b"<"
        hint = "JSON: it is a web page; check whether the base URL ends with /v1" if page else f"JSON ({error})"
        raise _invalid(hint) from error
    if not isinstance(reply, dict):
        raise _invalid("a JSON object")
    return reply


def _invalid(expected: str, failing: Failing = Failing.INVALID_BODY, usage: Usage | None = None) -> AttemptFailedError:
    return AttemptFailedError(failing, _lacks(expected), usage=usage)


def _lacks(expected: str) -> str:
    return f"The server answered 200, but its body lacks {expected}."


def _joined(content: object) -> str | None:
    """Return the text of a string or of a list of parts, which some servers send; `None` if it has no text."""
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
