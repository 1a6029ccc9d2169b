"""Builds the stages of a run from its definition.

What a stage needs is imported where it is built: a process that only asks the model has no index of the pool, and one
that only judges has no parsers.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from service.checkpoints import NO_CHECKPOINTS, Checkpoints
from service.lm.port import LanguageModel
from service.messaging.broker import Broker
from service.messaging.messages import Message, RunDefined
from service.runtime.leader_election import LeaderElection
from service.runtime.stage import Stage
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.steps import Step

if TYPE_CHECKING:
    from service.pool.hints import Hints
    from service.pool.screen_worker import Screening


def calling_stages(definition: RunDefined, model_of: Callable[[Step], LanguageModel]) -> list[Stage[Any]]:
    """Return the stages that call the model; a recipe whose replies are complete tasks has only `generate`."""
    return [calling_stage(step, definition, model_of(step)) for step in definition.recipe.steps]


def calling_stage(step: Step, definition: RunDefined, model: LanguageModel) -> Stage[Any]:
    """Return the stage that does a step of the recipe.

    Raises:
        ValueError: the recipe has no such step.
    """
    recipe, templates = definition.recipe.of(step), definition.templates
    if step is Step.INSTRUCTIONS:
        from consumers.generate import Generate

        return Generate(model, recipe)
    if (
        recipe.classification_sampling is None
        or recipe.generation_instances_sampling is None
        or recipe.classification_instances_sampling is None
    ):
        raise ValueError(f"recipe {recipe.name} has no step {step}")
    if step is Step.CLASSIFICATION:
        from consumers.classify import Classify

        return Classify(model, recipe, templates, recipe.classification_sampling)
    from consumers.instances import WriteInstances

    return WriteInstances(
        model,
        recipe,
        templates,
        generation=recipe.generation_instances_sampling,
        classification=recipe.classification_instances_sampling,
        random_seed=definition.random_seed,
    )


def admitting(
    broker: Broker,
    definition: RunDefined,
    election: LeaderElection | None = None,
    hints: "Hints | None" = None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> TransactionalWorker[Any]:
    """Return the worker of the admit stage, which owns the pool; `hints` from screens shorten its searches."""
    from consumers.admit import Admit
    from service.bootstrap.open_embedder import embedder_for
    from service.pool.missing_instructions import missing_instructions

    admit = Admit(definition.recipe, hints, embedder_for(definition.recipe))

    def missing() -> AsyncIterator[Sequence[Message]]:
        return missing_instructions(broker, definition.run, admit.machine_tasks)

    writes_work = definition.recipe.classification_sampling is not None
    return TransactionalWorker(admit, broker, definition.run, election, missing if writes_work else None, checkpoints)


def hints_on(definition: RunDefined) -> "Hints":
    """Return a store for hints from screens, which logs a wrong hint."""
    from service.pool.hint_reader import report_wrong_hint
    from service.pool.hints import Hints

    return Hints(
        definition.recipe.filters.rouge_threshold, report_wrong_hint, language=definition.recipe.filters.language
    )


def screening(broker: Broker, definition: RunDefined) -> "Screening":
    """Return the worker of the screen stage, which writes hints for admit."""
    from consumers.screen import Screen
    from service.pool.screen_worker import Screening

    return Screening(Screen(definition.recipe), broker, definition.run)


def finishing(
    broker: Broker,
    definition: RunDefined,
    target: Callable[[], int],
    election: LeaderElection | None = None,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> TransactionalWorker[Any]:
    """Return the worker of the finish stage, which numbers finished tasks up to `target`."""
    from consumers.finish import Finish

    finish = Finish(definition.run, target)
    return TransactionalWorker(finish, broker, definition.run, election, checkpoints=checkpoints)
