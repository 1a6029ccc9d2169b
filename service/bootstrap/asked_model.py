"""The models that a process asks, and the API of their calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service.lm.dispatch import Dispatcher
from service.lm.port import LanguageModel
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.steps import Step

if TYPE_CHECKING:  # a role that calls no model has one of `None`, and no need of an HTTP client
    from service.adapters.openai import OpenAIEndpoint
    from service.settings import LmApi

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class AskedModel:
    """A model for the stages (with prices), its dispatcher, its name, the servers behind it, and the API of the calls.

    `steps` are the steps of this process that ask it. `place` identifies server and model where they are not the run's
    own, but those of a table `[stages.…]`. `is_remote`: the servers are none that this process started.
    """

    model: LanguageModel
    dispatcher: Dispatcher
    name: str
    endpoints: Sequence["OpenAIEndpoint"] = ()
    api: "LmApi | None" = None
    steps: tuple[Step, ...] = tuple(Step)
    place: str = ""
    is_remote: bool = False

    @property
    def stages(self) -> str:
        """Names of the tables of its steps, for messages."""
        return " and ".join(self.steps)


@dataclass(frozen=True, slots=True)
class AskedModels:
    """The model of each step of this process; steps that ask the same model have the same dispatcher."""

    by_step: Mapping[Step, AskedModel]

    @classmethod
    def alone(cls, model: AskedModel) -> "AskedModels":
        """Return one model for all steps."""
        return cls(dict.fromkeys(Step, model))

    def of(self, step: Step) -> LanguageModel:
        """Return the model of a step."""
        return self.by_step[step].model

    def dispatcher(self, step: Step) -> Dispatcher:
        """Return the dispatcher of a step's calls."""
        return self.by_step[step].dispatcher

    @property
    def each(self) -> tuple[AskedModel, ...]:
        """Each model once."""
        return tuple({id(model.dispatcher): model for model in self.by_step.values()}.values())

    @property
    def names(self) -> dict[Step, str]:
        """Names of the models by step."""
        return {step: asked.name for step, asked in self.by_step.items()}

    @property
    def served(self) -> "AskedModels":
        """Those of servers elsewhere, without models in this process's care."""
        return AskedModels({step: asked for step, asked in self.by_step.items() if asked.is_remote})

    @property
    def told(self) -> str:
        """Description of the calls in a line, by model if there are several."""
        if len(self.each) == 1:
            return self.each[0].dispatcher.told
        return "; ".join(f"{asked.name}: {asked.dispatcher.told}" for asked in self.each)


@dataclass(frozen=True, slots=True)
class OtherApi:
    """An API of calls that is not the recipe's, and how to ask over the recipe's; `steps` are all steps if empty."""

    asked_over: str
    remedy: str
    steps: tuple[Step, ...] = ()


def warn_of_other_api(models: AskedModels, recipe: Recipe) -> None:
    """Warn if an API differs from the recipe's (chat or completions), since replies are parsed by the recipe."""
    for other in other_apis(models, recipe):
        where = {"stages": [step.value for step in other.steps]} if other.steps else {}
        log.warning("lm.other_api", asked_over=other.asked_over, recipe=recipe.title, remedy=other.remedy, **where)


def other_apis(models: AskedModels, recipe: Recipe) -> list[OtherApi]:
    """Return the APIs of the calls that are not those of the recipe."""
    found: dict[tuple[str, str], list[Step]] = {}
    for step, asked in models.by_step.items():
        if asked.api is not None and asked.api != (wanted := recipe.of(step).api):
            found.setdefault((asked.api, wanted), []).append(step)
    everywhere = len(found) == 1 and sum(map(len, found.values())) == len(models.by_step)
    return [
        OtherApi(
            api,
            f"ask with lm_api={wanted}, or begin another run: this one was made for {wanted}",
            () if everywhere else tuple(steps),
        )
        for (api, wanted), steps in found.items()
    ]
