"""Verdicts on the questions for which an ended batch has no result. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.adapters.openai_batch.api_objects import Batch, Wrong
from service.lm.errors import (
    AttemptFailedError,
    CallFailedError,
    EndpointRefusedError,
    Failing,
    LanguageModelError,
    Refused,
)

_QUOTA = re.compile(r"insufficient[ _](?:quota|credit|balance)|billing", re.IGNORECASE)
# OpenAI's token_limit_exceeded: the account has more tokens enqueued than it may have at once.
_CROWDED = re.compile(r"token_limit_exceeded|enqueued token limit", re.IGNORECASE)
_PASSING = re.compile(r"server_error|internal_error|rate_limit|try again", re.IGNORECASE)
# All lines are built alike: if this many are wrong, their content is not the cause. Servers do not list all errors.
_MANY_WRONG_LINES = 10


@dataclass(frozen=True, slots=True)
class NoResult:
    """The reason why a question has no result.

    `refused` is set if every other question would fail too. `is_final`: this question fails for good, others may work.
    """

    message: str
    failing: Failing = Failing.ABORTED
    refused: Refused | None = None
    is_final: bool = False

    def error(self) -> LanguageModelError:
        """Convert the verdict to an exception; each call creates a new one, for one waiting caller."""
        if self.refused is not None:
            return EndpointRefusedError(self.message, self.refused)
        if self.is_final:
            return CallFailedError(self.message, self.failing)
        return AttemptFailedError(self.failing, self.message)


def is_crowded(batch: Batch) -> bool:
    """Tell whether a batch failed because too much is enqueued: a smaller or a later batch may be accepted."""
    return batch.status == "failed" and any(_CROWDED.search(f"{wrong.code} {wrong.message}") for wrong in batch.wrong)


def without_result(batch: Batch, words: str, *, spares_some: bool = False) -> NoResult:
    """Return the verdict on a question for which an ended batch has no result.

    `words` is the server's message, fit for display. `spares_some`: the errors concern other lines only.
    """
    came = f"Expected an answer, but batch {batch.id} is {batch.status}"
    match batch.status:
        case "expired":
            return NoResult(f"{came}: it was not done in time.")
        case "cancelled":
            return NoResult(f"{came}: somebody stopped it.")
        case "failed":
            return _failed(batch, f'{came} ("{words}").', spares_some=spares_some)
        case _:
            return NoResult(f"{came} and holds no line for it.", Failing.INVALID_BODY)


def wrong_lines(batch: Batch) -> dict[int, Wrong]:
    """Return the errors of a failed batch by line number from 1; empty unless they are few and all name a line."""
    lines = {wrong.line: wrong for wrong in batch.wrong if wrong.line is not None}
    return lines if len(lines) < _MANY_WRONG_LINES and all(wrong.line is not None for wrong in batch.wrong) else {}


def wrong_line(batch: Batch, words: str) -> NoResult:
    """Return the verdict on a question whose line the server rejected."""
    message = f'Expected an answer, but batch {batch.id} failed, for this line ("{words}").'
    return NoResult(message, Failing.BAD_REQUEST, is_final=True)


def words_of(wrong: Sequence[Wrong]) -> str:
    """Join the codes and messages of a server's errors into one text."""
    return "; ".join(dict.fromkeys(f"{one.code}: {one.message}" for one in wrong)) or "no reason was given"


def _failed(batch: Batch, came: str, *, spares_some: bool) -> NoResult:
    said = " ".join(f"{wrong.code} {wrong.message}" for wrong in batch.wrong)
    if _QUOTA.search(said):
        return NoResult(f"{came} Add credit or raise the limit.", refused=Refused.QUOTA)
    if is_crowded(batch):
        return NoResult(f"{came} Even one request is more than may be queued.", Failing.RATE_LIMITED)
    if spares_some or not batch.wrong or _PASSING.search(said):
        return NoResult(came)
    return NoResult(
        f"{came} It accepts no line of this run: check the model and its parameters.", refused=Refused.ADDRESS
    )
