"""The errors of a call to a language model."""

from enum import StrEnum

from service.errors import SeedstreamError
from service.lm.usage import Usage


class LanguageModelError(SeedstreamError):
    """A call to the language model did not give a completion."""


class Failing(StrEnum):
    """Why an attempt gave no completion, in a closed set that metrics can count.

    `NO_ANSWER`: no text, but tool calls or nothing at all, as the server would answer again. `THINKING`: the tokens ran
    out while the model was thinking. `UNREADABLE`: a completion that does not answer what was asked.
    """

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    INVALID_BODY = "invalid_body"
    ABORTED = "aborted"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    NO_ANSWER = "no_answer"
    THINKING = "thinking"
    UNREADABLE = "unreadable"


class AttemptFailedError(LanguageModelError):
    """One attempt gave nothing and the next may.

    `after_s` is what the server asks to wait, `usage` what it counted for the attempt all the same.
    """

    def __init__(
        self, failing: Failing, message: str, after_s: float | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(message)
        self.failing = failing
        self.after_s = after_s
        self.usage = usage


class CallFailedError(LanguageModelError):
    """One call failed for good; others may still work.

    `attempts` were made for it, and `wasted` is what the server counted for them, which `cost_usd` is the price of, by
    the price table of that version.
    """

    def __init__(
        self,
        message: str,
        failing: Failing = Failing.BAD_REQUEST,
        *,
        attempts: int = 1,
        wasted: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.failing = failing
        self.attempts = attempts
        self.wasted = wasted
        self.cost_usd: float | None = None
        self.prices: str | None = None


class UnansweredError(CallFailedError):
    """Every attempt of one call failed in a way that may pass: the server was overloaded, or talked nonsense."""


class CallDroppedError(CallFailedError):
    """We stopped asking before there was an answer, and what its attempts took, if anything, has to be recorded.

    Its record has no result and will be delivered again. `refusal` is why, unless the process is to stop.
    """

    def __init__(self, refusal: "EndpointRefusedError | None", *, attempts: int, wasted: Usage | None) -> None:
        super().__init__("the call was dropped", Failing.CONNECTION, attempts=attempts, wasted=wasted)
        self.refusal = refusal


class Refused(StrEnum):
    """What a server that refuses every call holds against us: it decides how to find out that this has been mended."""

    CREDENTIALS = "credentials"
    QUOTA = "quota"
    ADDRESS = "address"
    AWAY = "away"


class EndpointRefusedError(LanguageModelError):
    """Every call would fail the same way (key, quota, model name, address), or nobody answers any more.

    `wasted` is what the server counted for the call that showed it.
    """

    exit_code = 5

    def __init__(self, message: str, refused: Refused = Refused.ADDRESS, wasted: Usage | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        self.wasted = wasted
