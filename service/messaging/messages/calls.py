"""Calls of the model, as records tell of them."""

from msgspec import UNSET, Struct, UnsetType

from service.lm.errors import CallFailedError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage


class Call(Struct, frozen=True, gc=False, kw_only=True):
    """A call that returned a completion, with its cost. The completion is untrusted text.

    `wasted` is the usage that the server reported for failed attempts. `cost_usd` is the cost of `usage` and `wasted`
    under the price table of version `prices`, or `None` if it is unknown.
    """

    model: str
    completion: str
    finish_reason: FinishReason
    usage: Usage | None
    attempts: int
    cost_usd: float | None
    wasted: Usage | None = None
    prices: str | None = None

    @classmethod
    def of(cls, completion: Completion) -> "Call":
        cost = completion.cost
        return cls(
            model=completion.model,
            completion=completion.text,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            attempts=cost.attempts,
            cost_usd=cost.cost_usd,
            wasted=cost.wasted,
            prices=cost.prices,
        )

    @property
    def truncated(self) -> bool:
        """Whether the completion was cut off at the token limit."""
        return self.finish_reason is FinishReason.LENGTH


class PaidCall(Struct, frozen=True, kw_only=True, gc=False):
    """The part of a `Call` that a bill needs."""

    model: str
    usage: Usage | None
    attempts: int
    cost_usd: float | None
    wasted: Usage | None = None
    prices: str | None = None


class FailedCall(Struct, frozen=True, gc=False, kw_only=True):
    """The cost of a call that failed for good; `wasted` is the usage that the server reported for its attempts.

    `model` is the name of the model asked, where the run asks several.
    """

    attempts: int
    wasted: Usage | None = None
    cost_usd: float | None = None
    prices: str | None = None
    model: str | UnsetType = UNSET

    @classmethod
    def of(cls, error: CallFailedError) -> "FailedCall":
        """Return the attempts and the cost of a failed call."""
        cost = error.cost
        return cls(
            attempts=cost.attempts,
            wasted=cost.wasted,
            cost_usd=cost.cost_usd,
            prices=cost.prices,
            model=cost.model or UNSET,
        )
