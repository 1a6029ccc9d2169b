"""The cost of one call to a language model: attempts, tokens and money."""

from dataclasses import dataclass

from service.lm.usage import Usage


@dataclass(frozen=True, slots=True)
class CallCost:
    """The cost of one call, without the tokens of its answer.

    `attempts` counts the requests to servers; the last one is included. `wasted` holds the tokens that servers counted
    for attempts that gave nothing; it is None where they counted nothing. `cost_usd` is a price in US dollars: that of
    the answer, if there is one, and of `wasted`. It is taken from the price table of version `prices`. Both are None
    where the price is not known. `model` is the name of the model asked, if a failed call has to tell it.
    """

    attempts: int = 1
    wasted: Usage | None = None
    cost_usd: float | None = None
    prices: str | None = None
    model: str | None = None


ONE_ATTEMPT = CallCost()
