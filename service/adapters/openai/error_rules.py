"""A table of rules that classify error responses; the first rule that matches decides. Pure.

Retry: the next attempt may succeed. Fail: this call never will, others may. Stop: every call would fail the same way.

An error message may quote the prompt, which a model wrote. Rules that stop all calls therefore match statuses that a
server returns before it reads the prompt, codes, or the beginning of a message.
"""

import re
from collections.abc import Container
from enum import Enum

from msgspec import Struct

from service.lm.errors import Failing, Refused


class Then(Enum):
    """The consequence of an error response: retry, fail this call, or stop all calls."""

    RETRY = "retry"
    FAIL = "fail"
    STOP = "stop"


class Row(Struct, frozen=True):
    """A rule, which matches responses by status.

    If `words` or `code` is set, the message must match `words` or the codes must match `code`. If `should_retry` or
    `asks_to_wait` is set, the response must have that value.
    """

    statuses: Container[int]
    then: Then
    why: Failing | Refused
    remedy: str = ""
    words: re.Pattern[str] | None = None
    code: re.Pattern[str] | None = None
    should_retry: bool | None = None
    asks_to_wait: bool | None = None

    def meets(self, status: int, message: str, codes: str, *, should_retry: bool | None, asks_to_wait: bool) -> bool:
        """Return whether the rule matches a response."""
        return (
            status in self.statuses
            and self.should_retry in {None, should_retry}
            and self.asks_to_wait in {None, asks_to_wait}
            and ((self.words is None and self.code is None) or self._says(message, codes))
        )

    def _says(self, message: str, codes: str) -> bool:
        in_words = self.words is not None and self.words.search(message) is not None
        return in_words or (self.code is not None and self.code.search(codes) is not None)


def _pattern(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _beginning(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"^.{{0,80}}(?:{'|'.join(alternatives)})", re.IGNORECASE)


_OVERFLOW = _pattern(
    r"context[ _](?:length|window(?!_fallback)|size|limit)",
    r"ContextWindowExceeded",
    r"exceeds? the maximum allowed length",
    r"exceeds the maximum number of tokens",
    r"maximum (?:model|prompt) length",
    r"`inputs` (?:tokens|must have less)",
    r"(?:prompt|input) is too long",
    r"exceed_context_size_error",
    r"max_tokens must be at least 1, got -",
)
_FILTERED = _pattern(
    r"content[ _](?:management[ _])?policy",
    r"content_?filter",
    r"ContentPolicyViolation",
    r"ResponsibleAIPolicyViolation",
    r"requires moderation",
    r"input was flagged",
    r"data_inspection_failed",
    r"content exists risk",
)
_USED_UP = _pattern(
    r"insufficient[ _](?:quota|credits?|balance|funds)",
    r"exceeded[ _](?:your[ _])?current[ _]quota",
    r"billing[ _](?:hard[ _]limit|not[ _]active)",
    r"account is not active",
    r"account is suspended",
    r"credit balance is too low",
    r"budget[ _](?:has been[ _])?exceeded",
    r"exceeded ?budget",
    r"(?:key|spend|credit) limit exceeded",
    r"access_terminated",
    r"payment_required",
)
_USED_UP_AT_ONCE = _beginning(r"credit balance is too low", r"budget has been exceeded", r"exceeded ?budget")
_BY_THE_MINUTE = _pattern(r"resource_exhausted", r"quota exceeded for metric", r"retry in \d")
_TOO_LARGE_FOR_LIMIT = _pattern(r"request too large", r"must be reduced in order to run")
_OVERLOADED = _pattern(r"overloaded", r"server[ _]busy", r"queue is full")
_NOT_READY = _pattern(
    r"loading model",
    r"model is (?:being |still )?load",
    r"no healthy upstream",
    r"upstream connect error",
    r"warming up",
)
_UNREADABLE = _pattern(r"json_validate_failed")
_WRONG_KEY = _beginning(r"api key not valid", r"(?:incorrect|invalid) api key")
_NO_SUCH_MODEL = _beginning(r"invalid model name passed in", r"is not a valid model id")
_MODEL = _pattern(r"model", r"deployment")
_MODEL_CODE = _pattern(r"model_not_found", r"deploymentnotfound", r"invalid_model")

_CONTEXT_REMEDY = (
    "The prompt and the tokens to be written exceed the model's context: start the server with a longer context, or "
    "ask for fewer tokens."
)
_FILTER_REMEDY = "The server's content filter refuses this prompt; others may pass."
_QUOTA_REMEDY = "The quota or credit is used up: add credit or raise the limit. Waiting does not help."
_KEY_REMEDY = "Check the API key."
_MODEL_REMEDY = "Check the name of the model: `seedstream check` shows those that the server offers."
_ADDRESS_REMEDY = "Check the base URL: it should end where /chat/completions begins, mostly with /v1."
_CALL_REMEDY = "The server does not accept this call as it is."

_MAY_MEND = {408, 409, 424, 425}
_READS_PROMPT = {400, 413, 422, 500}
_OVERLOAD = {503, 529}
_TIMED_OUT = {408, 504, 524}

ROWS = (
    # An explicit request of the server to retry takes precedence.
    Row({429}, Then.RETRY, Failing.RATE_LIMITED, should_retry=True),
    Row(_OVERLOAD, Then.RETRY, Failing.OVERLOADED, should_retry=True),
    Row(range(400, 600), Then.RETRY, Failing.SERVER_ERROR, should_retry=True),
    # The model violated the schema this time, and the server returns an error instead of the completion.
    Row({400, 422, 500}, Then.RETRY, Failing.UNREADABLE, code=_UNREADABLE),
    # This prompt always fails, whatever the status.
    Row({400, 403, 422, 451}, Then.FAIL, Failing.CONTENT_FILTER, _FILTER_REMEDY, words=_FILTERED, code=_FILTERED),
    Row(_READS_PROMPT, Then.FAIL, Failing.CONTEXT_LENGTH, _CONTEXT_REMEDY, words=_OVERFLOW, code=_OVERFLOW),
    # Money.
    Row({402}, Then.RETRY, Failing.RATE_LIMITED, asks_to_wait=True),
    Row({402}, Then.STOP, Refused.QUOTA, _QUOTA_REMEDY),
    Row({429}, Then.RETRY, Failing.RATE_LIMITED, words=_BY_THE_MINUTE, code=_BY_THE_MINUTE),
    Row({403, 429}, Then.STOP, Refused.QUOTA, _QUOTA_REMEDY, words=_USED_UP, code=_USED_UP),
    Row({400}, Then.STOP, Refused.QUOTA, _QUOTA_REMEDY, words=_USED_UP_AT_ONCE, code=_USED_UP),
    # Key, address, model.
    Row({401, 403}, Then.STOP, Refused.CREDENTIALS, "Check the API key, and that it may use this model from here."),
    Row({400}, Then.STOP, Refused.CREDENTIALS, _KEY_REMEDY, words=_WRONG_KEY, code=_pattern(r"invalid_api_key")),
    Row(range(300, 400), Then.STOP, Refused.ADDRESS, "Redirects are not followed: give the address that it points to."),
    Row({404}, Then.STOP, Refused.ADDRESS, _MODEL_REMEDY, words=_MODEL, code=_MODEL_CODE),
    Row({400}, Then.STOP, Refused.ADDRESS, _MODEL_REMEDY, words=_NO_SUCH_MODEL, code=_MODEL_CODE),
    Row({404, 405, 410}, Then.STOP, Refused.ADDRESS, _ADDRESS_REMEDY),
    Row({501}, Then.STOP, Refused.ADDRESS, "The server does not have this interface: try the other lm_api."),
    # A limit that this call alone exceeds.
    Row(
        {413, 429},
        Then.FAIL,
        Failing.BAD_REQUEST,
        "This call alone exceeds the limit of tokens a minute: ask for fewer, or raise the limit.",
        words=_TOO_LARGE_FOR_LIMIT,
    ),
    # Load.
    Row({429}, Then.RETRY, Failing.OVERLOADED, words=_OVERLOADED, code=_OVERLOADED),
    Row(
        {429},
        Then.STOP,
        Refused.QUOTA,
        "The server says that waiting does not help: check its limits.",
        should_retry=False,
    ),
    Row({429}, Then.RETRY, Failing.RATE_LIMITED),
    Row(_OVERLOAD | _MAY_MEND, Then.FAIL, Failing.SERVER_ERROR, _CALL_REMEDY, should_retry=False),
    Row(range(500, 600), Then.FAIL, Failing.SERVER_ERROR, _CALL_REMEDY, should_retry=False),
    Row({503}, Then.RETRY, Failing.SERVER_ERROR, words=_NOT_READY),
    Row(_OVERLOAD, Then.RETRY, Failing.OVERLOADED),
    Row(_TIMED_OUT, Then.RETRY, Failing.TIMEOUT),
    Row(_MAY_MEND, Then.RETRY, Failing.SERVER_ERROR),
    Row(range(500, 600), Then.RETRY, Failing.SERVER_ERROR),
    # An error body without a status, in a response with status 200.
    Row(range(300), Then.RETRY, Failing.INVALID_BODY),
    # Anything else fails this call alone.
    Row(range(10_000), Then.FAIL, Failing.BAD_REQUEST, _CALL_REMEDY),
)
