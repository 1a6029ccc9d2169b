"""Responses without a completion, and the errors that they become. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from service.adapters.openai.error_body import ErrorBody, error_body_of, read_error_body, shown
from service.adapters.openai.error_rules import ROWS, Row, Then
from service.lm.backoff import rate_limit_reset_s, retry_after_s
from service.lm.call_cost import CallCost
from service.lm.errors import (
    AttemptFailedError,
    CallFailedError,
    EndpointRefusedError,
    Failing,
    LanguageModelError,
    Refused,
)
from service.lm.usage import Usage

_OK = 200
_RATE_LIMITED = 429
_ERRORS = range(400, 600)


class Refusal(Struct, frozen=True):
    """A response with an error body instead of a completion.

    `status` is the HTTP status, or the one that an error body under status 200 names. `after_s` is the time that the
    server asks the client to wait, in seconds. `said` is the error message, cleaned for display.
    """

    url: str
    status: int
    error_body: ErrorBody
    said: str
    after_s: float | None = None
    should_retry: bool | None = None
    usage: Usage | None = None

    @property
    def row(self) -> Row:
        """The first rule in `ROWS` that matches this response."""
        return next(row for row in ROWS if self._is_met_by(row))

    def as_error(self, hint: str = "") -> LanguageModelError:
        """Return the error to raise under the matching rule; a hint replaces the rule's remedy in its message."""
        row = self.row
        status = "" if self.status < _ERRORS.start and self.status == _OK else f" {self.status}"
        came = f'{self.url} answered{status or " with an error"} ("{self.said}").'
        message = f"Expected an answer, but {came} {hint or row.remedy}"
        if isinstance(row.why, Refused):
            return EndpointRefusedError(message, row.why)
        if row.then is Then.FAIL:
            return CallFailedError(message, row.why, cost=CallCost(wasted=self.usage))
        return AttemptFailedError(row.why, came, self.after_s, self.usage)

    @property
    def blames_the_call(self) -> bool:
        """Whether the server rejects the request itself, for a reason other than length or content."""
        return self.row.why is Failing.BAD_REQUEST

    def _is_met_by(self, row: Row) -> bool:
        return row.meets(
            self.status,
            self.error_body.message,
            self.error_body.codes,
            should_retry=self.should_retry,
            asks_to_wait=self.after_s is not None,
        )


def refusal_of(
    url: str, status: int, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: datetime
) -> Refusal:
    """Return the refusal in a response whose status is not 200; `now` is for headers that hold a date."""
    error_body = read_error_body(body)
    after_s = retry_after_s(headers, now)
    if after_s is None and status == _RATE_LIMITED:
        after_s = rate_limit_reset_s(headers, now)
    should_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
    return Refusal(url, status, error_body, shown(error_body.message, secrets), after_s, should_retry)


def refusal_inside(url: str, reply: Mapping[str, Any], secrets: tuple[str, ...], usage: Usage | None) -> Refusal:
    """Return the refusal in a response with status 200; gateways send the status before they know the outcome."""
    error_body = error_body_of(reply)
    named = [int(code) for code in error_body.codes.split() if code.isdecimal() and int(code) in _ERRORS]
    return Refusal(url, named[0] if named else _OK, error_body, shown(error_body.message, secrets), usage=usage)
