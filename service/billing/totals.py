"""Totals of calls: tokens, attempts, cost. Costs are whole picodollars (1e-12 US dollars), so that sums are exact.

Sums of floating-point dollars would depend on the order in which a log happens to be read.
"""

from dataclasses import dataclass, fields
from typing import Any

from service.lm.usage import Usage
from service.messaging.messages import Call, FailedCall, PaidCall

PICO = 10**12
_DEAREST_USD = 1e5


def picos_of(cost_usd: float | None) -> int | None:
    """Return dollars as picodollars; None if they are unknown, or outside 0 … 100,000, which no call costs."""
    return round(cost_usd * PICO) if cost_usd is not None and 0 <= cost_usd <= _DEAREST_USD else None


def usd_of(picos: float) -> float:
    """Return picodollars as dollars."""
    return picos / PICO


def plain(number: float) -> str:
    """Return a number in plain decimal notation: 50, 0.002, 1,000,000."""
    return f"{number:,.9f}".rstrip("0").rstrip(".")


@dataclass(slots=True)
class Spent:
    """Totals of one stage: of `calls`, which were answered, and of `failed` calls, of which no attempt was answered.

    Token counts are those of answers, and `wasted` counts those of attempts without a result. `uncounted` calls have no
    usage, and `unpriced` calls no cost, for that reason or another. A `repeated` call was made for an input that
    already had a completion, which was thus paid for twice. Costs are in picodollars; `cost` includes `failed_cost`.
    """

    calls: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    wasted_prompt_tokens: int = 0
    wasted_completion_tokens: int = 0
    failed: int = 0
    uncounted: int = 0
    priced: int = 0
    unpriced: int = 0
    repeated: int = 0
    cost: int = 0
    failed_cost: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def add(self, call: Call | PaidCall) -> int | None:
        """Count an answered call and return its cost; None if it is not known."""
        self.calls += 1
        self.attempts += call.attempts
        if call.wasted is not None:
            self._waste(call.wasted)
        if (usage := call.usage) is None:
            self.uncounted += 1
        else:
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens
            self.cached_tokens += usage.cached_tokens
            self.reasoning_tokens += usage.reasoning_tokens
        picos = picos_of(call.cost_usd)
        if picos is None:
            self.unpriced += 1
        else:
            self.priced += 1
            self.cost += picos
        return picos

    def add_failed(self, failed: FailedCall) -> int | None:
        """Count a call that failed for good and return its cost: 0 if the server counted no tokens, None if unknown."""
        self.failed += 1
        self.attempts += failed.attempts
        if failed.wasted is None:
            return 0
        self._waste(failed.wasted)
        picos = picos_of(failed.cost_usd)
        if picos is None:
            self.unpriced += 1
        else:
            self.cost += picos
            self.failed_cost += picos
        return picos

    def _waste(self, wasted: Usage) -> None:
        self.wasted_prompt_tokens += wasted.prompt_tokens
        self.wasted_completion_tokens += wasted.completion_tokens

    @property
    def known_usd(self) -> float | None:
        """Return the cost of the calls that have a price, in US dollars; None if no call has one."""
        return usd_of(self.cost) if self.priced or self.failed_cost else None

    @property
    def cost_usd(self) -> float | None:
        """Return the cost of all calls, in US dollars; None if the cost of any call is unknown."""
        return None if self.unpriced else self.known_usd

    @property
    def without_price(self) -> int:
        """Return the number of calls that the server counted and that have no price."""
        return max(0, self.unpriced - self.uncounted)

    @property
    def per_call(self) -> float | None:
        """Return the mean cost of an answered call, in picodollars; None if no call has a price."""
        return (self.cost - self.failed_cost) / self.priced if self.priced else None

    @property
    def estimate(self) -> float | None:
        """Return the cost in picodollars, with calls of unknown cost at the mean: for decisions, never for the bill."""
        if not self.unpriced:
            return self.cost
        return None if self.per_call is None else self.cost + self.unpriced * self.per_call

    def facts(self) -> dict[str, Any]:
        """Return the counts as plain values, and the costs in US dollars."""
        counts = {each.name: getattr(self, each.name) for each in fields(self) if "cost" not in each.name}
        failed_usd = usd_of(self.failed_cost)
        return counts | {"cost_usd": self.cost_usd, "known_cost_usd": self.known_usd, "failed_cost_usd": failed_usd}
