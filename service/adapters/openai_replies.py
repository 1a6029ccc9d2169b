"""What an OpenAI-compatible server answered: a completion, a failure that may pass, or a refusal. Pure.

An answer is never trusted for its status alone: gateways send errors with 200, engines abort with 200.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from service.adapters.openai_options import OpenAIOptions
from service.errors import CallFailedError, EndpointRefusedError, LanguageModelError
from service.lm import Completion, FinishReason, Usage

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
# Statuses below 500 that may pass (424: a TGI worker failed); of 500 and above all may.
_PASSING = frozenset({408, 409, 424, 425, 429})
_RATE_LIMITED = 429
_SERVER_ERRORS = 500
# Tried on the messages of vLLM, SGLang, llama.cpp, Ollama, TGI and OpenAI.
_CONTEXT_OVERFLOW = re.compile(
    r"context[ _](?:length|window|size)|exceeds? the maximum allowed length|`inputs` (?:tokens|must have less)"
    r"|(?:prompt|input) is too long|exceed_context_size_error|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_CONTEXT_STATUSES = frozenset({400, 413, 422, 500})
_QUOTA = re.compile(r"insufficient[ _](?:quota|credit|balance)", re.IGNORECASE)
_REMEDIES = {
    401: "Check the API key.",
    402: "Add credit, or raise the limit of the key.",
    403: "Check that the key may use this model from here.",
    404: "Check the base URL and the name of the model.",
    429: "The quota is used up: add credit or raise it. Waiting does not help.",
}
_REDIRECT = range(300, 400)
_SHOWN_CHARACTERS = 300


class Failing(StrEnum):
    """Why an attempt gave nothing, in a closed set that metrics can count."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    INVALID_BODY = "invalid_body"


class AttemptFailedError(LanguageModelError):
    """One attempt gave nothing and the next may; never leaves the adapter.

    `after_s` is what the server asks to wait.
    """

    def __init__(self, failing: Failing, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.failing = failing
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with another status than 200, ready to be judged; `text` is the server's, cleaned."""

    url: str
    status: int
    body: bytes
    text: str
    after_s: float | None

    def as_error(self) -> LanguageModelError:
        """Return the error that this status and these words amount to."""
        words = self.body.decode(errors="replace")
        came = f'{self.url} answered {self.status} ("{self.text}").'
        if self._is_final(words):
            remedy = _REMEDIES.get(self.status, "Redirects are not followed: give the address that it points to.")
            return EndpointRefusedError(f"Expected an answer, but {came} {remedy}")
        if self.status in _CONTEXT_STATUSES and _CONTEXT_OVERFLOW.search(words):
            return CallFailedError(
                f"The prompt and the tokens to be written exceed the model's context. {came} "
                "Start the server with a longer context, or ask for fewer tokens."
            )
        if self.status in _PASSING or self.status >= _SERVER_ERRORS:
            failing = Failing.RATE_LIMITED if self.status == _RATE_LIMITED else Failing.SERVER_ERROR
            return AttemptFailedError(failing, came, self.after_s)
        return CallFailedError(f"Expected an answer, but {came} The server does not accept this call as it is.")

    def _is_final(self, words: str) -> bool:
        if self.status == _RATE_LIMITED:
            return _QUOTA.search(words) is not None
        return self.status in _REMEDIES or self.status in _REDIRECT


def read_completion(body: bytes, options: OpenAIOptions, stop: tuple[str, ...]) -> Completion:
    """Return the completion in a body that came with 200; its `model` is empty where the server names none.

    Raises:
        AttemptFailedError: the body is not a completion.
    """
    reply = _object(body, options)
    choice = _first(reply.get("choices"))
    reason = str(choice.get("finish_reason"))
    finish = _FINISH_REASONS.get(reason)
    if finish is None:
        raise _invalid(f"a finish_reason of stop, length or content_filter (it has {shown(reason, options.secrets)})")
    text, finish = (
        _chat_text(choice, finish) if options.api == "chat" else (_string(choice.get("text"), "text"), finish)
    )
    text, finish = _cut(text, finish, stop)
    model = reply.get("model")
    return Completion(text, finish, model if isinstance(model, str) else "", _usage(reply.get("usage")))


def read_models(body: bytes, options: OpenAIOptions) -> list[str]:
    """Return the names in an answer to GET /models.

    Raises:
        AttemptFailedError: the body is not such an answer.
    """
    entries = _object(body, options).get("data")
    if not isinstance(entries, list):
        raise _invalid("a list of models in `data`")
    return [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]


def server_text(body: bytes, secrets: tuple[str, ...]) -> str:
    """Return what a server said went wrong, fit to be shown."""
    return shown(_message(body), secrets)


def shown(words: str, secrets: tuple[str, ...]) -> str:
    """Return a stranger's words on one line, bounded, without control characters and without our secrets."""
    for secret in secrets:
        words = words.replace(secret, "***")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"


def _message(body: bytes) -> str:
    """Return the message of an error body in any of its shapes, or else the body."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    message = error.get("message", error) if isinstance(error, dict) else error
    return message if isinstance(message, str) else orjson.dumps(message).decode()


def _invalid(expected: str) -> AttemptFailedError:
    return AttemptFailedError(Failing.INVALID_BODY, f"The server answered 200, but its body lacks {expected}.")


def _object(body: bytes, options: OpenAIOptions) -> dict[str, Any]:
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"JSON ({error})") from error
    if not isinstance(reply, dict):
        raise _invalid("a JSON object")
    if reply.get("error"):
        text = server_text(body, options.secrets)
        raise AttemptFailedError(Failing.INVALID_BODY, f'The server answered 200 with an error ("{text}").')
    return reply


def _first(choices: object) -> Mapping[str, Any]:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _invalid("a first element of `choices`")
    return choices[0]


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _invalid(f"a string in `{name}`")
    return value


def _chat_text(choice: Mapping[str, Any], finish: FinishReason) -> tuple[str, FinishReason]:
    """Return the assistant's text without its thinking; thinking that never ended is a completion cut at its start."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if content is None and isinstance(message, dict) and finish is not FinishReason.STOP:
        return "", finish  # the budget went into reasoning in a field of its own, or a filter blanked the text
    text = _string(content, "message.content")
    opening = text.lstrip()
    if not opening.startswith("<think>"):
        return text, finish
    _, closed, rest = opening.partition("</think>")
    return (rest.lstrip(), finish) if closed else ("", FinishReason.LENGTH)


def _cut(text: str, finish: FinishReason, stop: tuple[str, ...]) -> tuple[str, FinishReason]:
    """Apply the stop strings again: servers ignore them, or take only some."""
    ends = [end for end in map(text.find, stop) if end >= 0]
    return (text[: min(ends)], FinishReason.STOP) if ends else (text, finish)


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    cached = _detail(usage.get("prompt_tokens_details"), "cached_tokens")
    return Usage(prompt, completion, cached, _detail(usage.get("completion_tokens_details"), "reasoning_tokens"))


def _detail(details: object, name: str) -> int:
    value = details.get(name) if isinstance(details, dict) else None
    return value if isinstance(value, int) else 0
