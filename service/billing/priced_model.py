"""A language model whose answers, and whose failures, say what they cost."""

from dataclasses import dataclass, replace

from service.billing.price_table import PriceTable, cost_usd, price_of
from service.lm.errors import CallFailedError
from service.lm.port import Completion, LanguageModel
from service.lm.usage import added
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model with the prices of its tokens; `asked` is the name it is asked by. Nothing is guessed.

    What a call cost is known where the server counted the answer and the table has a price for it. `batch` says that
    the answers come by a batch API, at its price.
    """

    model: LanguageModel
    table: PriceTable
    asked: str
    batch: bool = False

    async def complete(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        """Return the completion with what it cost, its failed attempts included; a failure carries its cost too."""
        try:
            completion = await self.model.complete(prompt, sampling)
        except CallFailedError as error:
            self._price(error)
            raise
        price, used = price_of(self.table, self.asked, completion.model), added(completion.usage, completion.wasted)
        if price is None or completion.usage is None or used is None:
            return completion
        return replace(completion, cost_usd=cost_usd(price, used, batch=self.batch), prices=self.table.version)

    def _price(self, error: CallFailedError) -> None:
        price = price_of(self.table, self.asked, self.asked)
        if price is not None and error.wasted is not None:
            error.cost_usd = cost_usd(price, error.wasted, batch=self.batch)
            error.prices = self.table.version
