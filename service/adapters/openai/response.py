"""What is in an answer with status 200: a completion, or less. Pure.

An answer is never trusted for its status alone: gateways send errors with 200, engines abort with 200.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

from service.adapters.openai.error_body import shown
from service.adapters.openai.error_response import Refusal, refusal_inside
from service.adapters.openai.json_bodies import decoded
from service.adapters.openai.server_profiles import Api
from service.adapters.openai.token_usage import read_usage
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
    """What an answer answers: where, how and what was asked, and what must not be repeated of it."""

    url: str
    api: Api
    model: str
    stop: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    prompt: ModelInput | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A completion, and what it tells of the model: that it thinks, and that it did nothing else.

    `was_stopped`: a stop string cut it short in the middle of thinking.
    """

    completion: Completion
    thought: bool = False
    only_thought: bool = False
    was_stopped: bool = False


def read_completion(body: bytes, asked: Asked) -> Reading | Refusal:
    """Return the completion in a body that came with 200, or the error in it.

    Neither thinking nor an echo of the prompt is part of its text; the stop strings are applied again to what is left,
    for servers ignore them or take only some.

    Raises:
        AttemptFailedError: the body is not a completion; it carries what the server counted all the same.
        CallFailedError: the server would answer the same again, without a text to use.
    """
    reply = _object(body)
    usage = read_usage(reply.get("usage"))
    if reply.get("error"):
        return refusal_inside(asked.url, reply, asked.secrets, usage)
    return _Reply(reply, asked, usage).read()


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
        """Read an answer without a text beside its thinking: some servers put an answer in JSON there."""
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
        """Return why the model stopped; a text for whose end the server has no word is whole."""
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
                raise CallFailedError(message, Failing.NO_ANSWER, wasted=self.usage)
            self._fail(expected, Failing.ABORTED if came.lower() in _ABORTED else Failing.INVALID_BODY)
        return finish

    def _text(self, choice: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the text, none where there is none, and the reasoning beside it.

        A refusal in the place of a text is one.
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
        """Return the empty text that a limit or a filter left; where neither did, asking again may help."""
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
        hint = "JSON: it is a page for people; see whether the base URL ends with /v1" if page else f"JSON ({error})"
        raise _invalid(hint) from error
    if not isinstance(reply, dict):
        raise _invalid("a JSON object")
    return reply


def _invalid(expected: str, failing: Failing = Failing.INVALID_BODY, usage: Usage | None = None) -> AttemptFailedError:
    return AttemptFailedError(failing, _lacks(expected), usage=usage)


def _lacks(expected: str) -> str:
    return f"The server answered 200, but its body lacks {expected}."


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
