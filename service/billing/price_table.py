"""What tokens cost: a price table with a version, as the user gave it. What it does not name has no price."""

from pydantic import BaseModel, ConfigDict, Field

from service.lm.usage import Usage

_MILLION = 1_000_000
_FLAGS = "flags"


class Price(BaseModel):
    """The price of one model, in US dollars for a million tokens.

    Cached tokens of the prompt cost as its others where no price is given for them. A batch API charges `batch_factor`
    of all this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0, allow_inf_nan=False)
    completion: float = Field(ge=0, allow_inf_nan=False)
    cached_prompt: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    batch_factor: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)


class PriceTable(BaseModel):
    """Prices by the name of the model. Whoever changes one gives the table another `version`: each call records it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(min_length=1)
    models: dict[str, Price] = Field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.version}: {', '.join(self.models) or 'no model'}"


def table_in_force(
    table: PriceTable | None, asked: str, prompt: float | None, completion: float | None
) -> PriceTable | None:
    """Return the table that holds where model `asked` is asked: the two prices given for it alone win over a table."""
    if prompt is None or completion is None:
        return table
    return PriceTable(version=_FLAGS, models={asked: Price(prompt=prompt, completion=completion)})


def price_of(table: PriceTable, asked: str, served: str) -> Price | None:
    """Return the price of an answer: that of the model which the server says it used, else of the one asked for."""
    return table.models.get(served) or table.models.get(asked)


def cost_usd(price: Price, usage: Usage, *, batch: bool = False) -> float:
    """Return what these tokens cost, in US dollars."""
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    cached_price = price.prompt if price.cached_prompt is None else price.cached_prompt
    prompt = (usage.prompt_tokens - cached) * price.prompt + cached * cached_price
    whole = prompt + usage.completion_tokens * price.completion
    return whole * (price.batch_factor if batch else 1.0) / _MILLION
