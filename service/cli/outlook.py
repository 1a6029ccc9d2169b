"""The expected cost of a target in one line, with the basis of the estimate."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10

from service.billing.pricing import Price
from service.billing.reckoning import Rates, estimate_cost, rates_by_length
from service.cli.facts import dollars
from service.messaging.messages import RunDefined
from service.pipeline.trial import first_prompt
from service.run.cost_forecast import forecast_usd
from service.run.progress import Progress
from service.selfinstruct.steps import Step
from service.selfinstruct.tasks import SeedTask
from service.settings import LmKind, Settings


@dataclass(frozen=True, slots=True)
class StagePrices:
    """The models that the stages ask, and their prices as far as they have any, both by the names of the stages.

    `batch` says that a batch API is asked, `served` that a server is: such a model should have a price.
    """

    models: Mapping[str, str]
    prices: Mapping[str, Price]
    batch: bool = False
    served: bool = False

    @classmethod
    def of(cls, settings: Settings, names: Mapping[Step, str]) -> "StagePrices":
        """Return the prices that the settings have for the models with these names."""
        prices = {}
        for step, name in names.items():
            table = settings.of_step(step).prices_for(name)
            if table is not None and name in table.models:
                prices[step.stage] = table.models[name]
        served = any(settings.of_step(step).lm is LmKind.OPENAI for step in names)
        return cls({step.stage: name for step, name in names.items()}, prices, settings.lm_batch, served)

    def without(self, stages: Collection[str]) -> list[str]:
        """Return the models of these stages that have no price."""
        return list(dict.fromkeys(self.models[stage] for stage in stages if stage not in self.prices))


def outlook_by_length(definition: RunDefined, seeds: Sequence[SeedTask], tasks: int, prices: StagePrices) -> str:
    """Return the expected calls, tokens and cost of `tasks` tasks, estimated from text lengths before any call."""
    prompt = first_prompt(definition, seeds).as_input(definition.recipe)
    rates = rates_by_length(definition.recipe, definition.templates, seeds, prompt)
    return outlook(rates, tasks, prices)


def outlook(rates: Rates, tasks: int, prices: StagePrices) -> str:
    """Return the expected calls, tokens and cost of `tasks` tasks at these rates."""
    found = estimate_cost(rates, tasks, prices.prices, batch=prices.batch)
    if found.usd is not None:
        cost = f", {_about(found.usd)}"
    else:
        cost = f", and no price is given for {' and '.join(prices.without(rates.calls))}" if prices.served else ""
    return (
        f"{_tasks(tasks)}: about {_round(found.calls)} calls, {_round(found.usage.prompt_tokens)} tokens in, "
        f"{_round(found.usage.completion_tokens)} out{cost} (judged {found.basis})"
    )


def outlook_of(progress: Progress) -> str:
    """Return the forecast cost of an existing run at its target, based on its own calls; empty if unknown."""
    usd = forecast_usd(progress) if progress.spent else None
    if usd is None:
        return ""
    return (
        f"{_tasks(progress.target)}: {dollars(usd)} in total, estimated from the {progress.finished:,} finished so far"
    )


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


def _about(usd: float) -> str:
    """Return an amount of money rounded to two significant digits."""
    digits = 0 if usd <= 0 else max(0, 1 - floor(log10(usd)))
    return f"${round(usd, digits):,.{max(2, digits)}f}" if usd else "$0"


def _round(count: int) -> str:
    """Return a number rounded to two significant digits."""
    digits = max(0, len(str(count)) - 2)
    return f"{round(count, -digits):,}"
