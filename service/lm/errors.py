"""The errors of a call to a language model."""

from enum import StrEnum
from typing import Final, Self

from service.errors import SeedstreamError
from service.lm.call_cost import ONE_ATTEMPT, CallCost
from service.lm.usage import Usage


class LanguageModelError(SeedstreamError):
    """A call to the language model did not give a completion."""


class Failing(StrEnum):
    """The reason why an attempt gave no completion: a closed set that metrics can count.

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

    `after_s` is the wait that the server asks for, `usage` the tokens that it counted for the failed attempt.
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

    `cost` is the cost of its attempts. It never changes. A caller that knows more of it raises a copy, by `with_cost`.
    """

    def __init__(self, message: str, failing: Failing = Failing.BAD_REQUEST, *, cost: CallCost = ONE_ATTEMPT) -> None:
        super().__init__(message)
        self.failing = failing
        self.cost: Final = cost

    @property
    def wasted(self) -> Usage | None:
        """Return the tokens that servers counted for the call; None if they counted nothing."""
        return self.cost.wasted

    def with_cost(self, cost: CallCost) -> Self:
        """Return a copy with another cost; its class, message, cause and traceback are the same."""
        copy = self._copy(cost).with_traceback(self.__traceback__)
        copy.__cause__ = self.__cause__
        return copy

    def _copy(self, cost: CallCost) -> Self:
        return type(self)(str(self), self.failing, cost=cost)


class UnansweredError(CallFailedError):
    """Every attempt of one call failed in a way that may pass: an overloaded server, or unreadable answers."""


class CallDroppedError(CallFailedError):
    """The call was dropped before it was answered; the cost of its attempts, if any, has to be recorded.

    Its record has no result and will be delivered again. `refusal` is the reason, unless the process stops.
    """

    def __init__(self, refusal: "EndpointRefusedError | None", *, cost: CallCost) -> None:
        super().__init__("the call was dropped", Failing.CONNECTION, cost=cost)
        self.refusal = refusal

    def _copy(self, cost: CallCost) -> Self:
        return type(self)(self.refusal, cost=cost)


class Refused(StrEnum):
    """The reason why a server refuses every call; it decides how its end is noticed."""

    CREDENTIALS = "credentials"
    QUOTA = "quota"
    ADDRESS = "address"
    AWAY = "away"


class EndpointRefusedError(LanguageModelError):
    """Every call would fail the same way (key, quota, model name, address), or nobody answers any more.

    `wasted` are the tokens that the server counted for the refused call.
    """

    exit_code = 5

    def __init__(self, message: str, refused: Refused = Refused.ADDRESS, wasted: Usage | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        self.wasted = wasted
