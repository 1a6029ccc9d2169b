"""Computes the cost of tokens from a versioned price table of the user. A model that it does not name has no price."""

from pydantic import BaseModel, ConfigDict, Field

from service.lm.usage import Usage

_MILLION = 1_000_000
_FLAGS = "flags"


class Price(BaseModel):
    """The price of one model, in US dollars per million tokens.

    Cached prompt tokens cost as much as other prompt tokens unless `cached_prompt` is given. A batch API charges
    `batch_factor` of the total.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0, allow_inf_nan=False)
    completion: float = Field(ge=0, allow_inf_nan=False)
    cached_prompt: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    batch_factor: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)


class PriceTable(BaseModel):
    """Prices by model name. A changed price requires a new `version`, since each call records the version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(min_length=1)
    models: dict[str, Price] = Field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.version}: {', '.join(self.models) or 'no model'}"


def table_in_force(
    table: PriceTable | None, asked: str, prompt: float | None, completion: float | None
) -> PriceTable | None:
    """Return the price table for model `asked`: `prompt` and `completion`, if both are given, else `table`."""
    if prompt is None or completion is None:
        return table
    return PriceTable(version=_FLAGS, models={asked: Price(prompt=prompt, completion=completion)})


def price_of(table: PriceTable, asked: str, served: str) -> Price | None:
    """Return the price of the model that the server reports, else of the model asked for; None if neither has one."""
    return table.models.get(served) or table.models.get(asked)


def cost_usd(price: Price, usage: Usage, *, batch: bool = False) -> float:
    """Return the cost of a usage, in US dollars."""
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    cached_price = price.prompt if price.cached_prompt is None else price.cached_prompt
    prompt = (usage.prompt_tokens - cached) * price.prompt + cached * cached_price
    whole = prompt + usage.completion_tokens * price.completion
    return whole * (price.batch_factor if batch else 1.0) / _MILLION
