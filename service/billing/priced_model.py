"""A language model whose completions and failures carry their cost."""

from dataclasses import replace

from msgspec import Struct

from service.billing.pricing import PriceTable, cost_usd, price_of
from service.lm.call_cost import CallCost
from service.lm.concurrency import Slot
from service.lm.errors import CallFailedError
from service.lm.port import Completion, LanguageModel
from service.lm.usage import Usage, added
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling


class PricedModel(Struct, frozen=True):
    """A model with the prices of its tokens; `asked` is the model name in requests. No cost is guessed.

    The cost of a call is known if the server counted its tokens and the table has a price for the model. `batch` says
    that the answers come from a batch API, at its price.
    """

    model: LanguageModel
    table: PriceTable
    asked: str
    batch: bool = False

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        """Return the completion with its cost, failed attempts included; a `CallFailedError` carries its cost too."""
        try:
            completion = await self.model.complete(prompt, sampling, slot)
        except CallFailedError as error:
            raise error.with_cost(self._priced(error.cost, error.wasted, self.asked)) from error.__cause__
        used = added(completion.usage, completion.cost.wasted) if completion.usage is not None else None
        return replace(completion, cost=self._priced(completion.cost, used, completion.model))

    def _priced(self, cost: CallCost, used: Usage | None, answered_by: str) -> CallCost:
        """Return the cost with the price of the tokens used; the cost does not change where the price is not known."""
        price = price_of(self.table, self.asked, answered_by)
        if price is None or used is None:
            return cost
        return replace(cost, cost_usd=cost_usd(price, used, batch=self.batch), prices=self.table.version)
