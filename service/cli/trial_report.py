"""The report of `seedstream check` on one call of each step."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from service.billing.reckoning import Rates
from service.bootstrap.asked_model import AskedModel, AskedModels
from service.cli.facts import dollars
from service.cli.outlook import StagePrices, outlook
from service.cli.terminal_text import clean
from service.errors import ConfigurationError
from service.lm.errors import CallFailedError
from service.lm.port import FinishReason
from service.messaging.messages import Call, ClassifiedInstruction, RunDefined, TaskInstances
from service.pipeline.trial import Tried, keeps_to_schema, try_steps
from service.selfinstruct.recipe import Form, Recipe
from service.selfinstruct.replies.characters import excerpt
from service.selfinstruct.tasks import Reason, SeedTask
from service.settings import Settings

_BEWARE = "beware: "
_SHOWN_CANDIDATES = 8
_ENOUGH_READABLE = 0.5
_FINISHED_SO_FAR = 0.9


async def check_steps(
    definition: RunDefined, seeds: Sequence[SeedTask], models: AskedModels, settings: Settings
) -> AsyncIterator[str]:
    """Yield the results of one call of each step, and the expected cost of a run based on them.

    Raises:
        ConfigurationError: no reply of the model can be read; the message names a remedy.
        EndpointRefusedError: the server refuses every call.
    """
    tried = []
    async for each in try_steps(definition, seeds, models.of):
        tried.append(each)
        for line in _lines(each):
            yield line
        _check_readable(each, definition.recipe)
        if (warning := _hard_to_read(each, definition.recipe)) is not None:
            yield f"{_BEWARE}{warning}"
    async for line in _structures(definition.recipe, models):
        yield line
    if (rates := _rates(tried)) is not None:
        yield f"estimate: {outlook(rates, settings.target, StagePrices.of(settings, models.names))}"


def _lines(tried: Tried) -> list[str]:
    """Return the result of a step: the call, the beginning of the reply, and the tasks read from it."""
    call = tried.call
    if call is None:
        return []
    return [
        f"{tried.step}: {_found(tried)}, {_tokens(call)}",
        f"{tried.step}: the reply begins: {clean(excerpt(call.completion)) or '(empty)'}",
        *(f"  {line}" for line in _verdicts(tried)),
    ]


def _found(tried: Tried) -> str:
    match tried.message:
        case ClassifiedInstruction() as classified:
            return "a classification task" if classified.is_classification else "no classification task"
        case TaskInstances(rejection=None) as task:
            return f"{len(task.instances)} instance{'s' if len(task.instances) > 1 else ''}"
        case TaskInstances() as task:
            return f"no instance ({task.rejection})"
        case _:
            return f"{len(tried.verdicts)} candidates, {len(tried.accepted)} accepted"


def _verdicts(tried: Tried) -> list[str]:
    shown = tried.verdicts[:_SHOWN_CANDIDATES]
    lines = [f"{verdict.reason or 'accepted'}: {clean(excerpt(verdict.candidate.instruction))}" for verdict in shown]
    more = len(tried.verdicts) - len(shown)
    if isinstance(tried.message, TaskInstances):
        lines += [
            f"{clean(excerpt(each.input)) or '(no input)'} → {clean(excerpt(each.output))}"
            for each in tried.message.instances
        ]
    return [*lines, f"and {more} more"] if more else lines


def _check_readable(tried: Tried, recipe: Recipe) -> None:
    """Check that tasks can be read from a reply.

    Raises:
        ConfigurationError: the call failed, or nothing of the reply can be read.
    """
    if tried.failure is not None:
        raise ConfigurationError(f"{tried.step}: a run would get no answer: {tried.failure}")
    if tried.verdicts and not tried.readable:
        raise ConfigurationError(f"{tried.step}: {_unreadable(tried, recipe)}")


def _unreadable(tried: Tried, recipe: Recipe) -> str:
    """Return the reason why no task can be read from a reply, and a remedy."""
    if tried.call is not None and tried.call.finish_reason is FinishReason.CONTENT_FILTER:
        return "the server's content filter removed the reply; change the seeds or templates, or use another server"
    if set(_reasons(tried)) == {Reason.REFUSAL.value}:
        return "the model refuses to write tasks; try again, change the templates, or use another model"
    reasons = ", ".join(f"{reason} {count}" for reason, count in _reasons(tried).most_common())
    return f"nothing of the reply can be read ({reasons}); {_remedy(recipe)}"


def _hard_to_read(tried: Tried, recipe: Recipe) -> str | None:
    """Return a warning if most of a reply cannot be read."""
    if not tried.verdicts or tried.readable >= _ENOUGH_READABLE * len(tried.verdicts):
        return None
    reasons = ", ".join(f"{reason} {count}" for reason, count in _reasons(tried).most_common())
    return (
        f"{tried.step}: only {tried.readable} of {len(tried.verdicts)} candidates can be read ({reasons}); "
        f"{_remedy(recipe)}"
    )


def _reasons(tried: Tried) -> Counter[str]:
    return Counter(verdict.reason.value for verdict in tried.verdicts if verdict.reason is not None)


def _remedy(recipe: Recipe) -> str:
    if recipe.form is Form.JSON:
        return "try --form text, or a model that follows instructions better"
    if recipe.chat_model:
        return "try --form json"
    return "for a chat model, use --lm-api chat"


async def _structures(recipe: Recipe, models: AskedModels) -> AsyncIterator[str]:
    """Yield for each model whether its server enforces the JSON schema, if a step uses one."""
    for asked in models.each:
        whose = f"{asked.stages}: " if len(models.each) > 1 else ""
        step = next((step for step in asked.steps if recipe.of(step).form is Form.JSON), None)
        if step is not None:
            async for line in _structure(models.by_step[step]):
                told = line.removeprefix(_BEWARE)
                yield f"{_BEWARE if told != line else ''}{whose}{told}"


async def _structure(asked: AskedModel) -> AsyncIterator[str]:
    """Yield whether the server of a model enforces the JSON schema, if it is sent one."""
    endpoints = [endpoint for endpoint in asked.endpoints if endpoint.options.api == asked.api]
    if not any(endpoint.describe().asks_for_schema for endpoint in endpoints):
        return
    try:
        is_kept = await keeps_to_schema(asked.model)
    except CallFailedError as error:
        yield f"{_BEWARE}cannot find out whether the schema is enforced: {clean(str(error))}"
        return
    if is_kept:
        yield "the schema is enforced: a request for prose was answered in JSON"
    else:
        yield f"{_BEWARE}the schema is accepted but not enforced: only the prompt makes the model answer in JSON"


def _tokens(call: Call) -> str:
    cost = "cost unknown" if call.cost_usd is None else dollars(call.cost_usd)
    usage = call.usage
    counted = "tokens unknown" if usage is None else f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out"
    return f"{counted}, {cost}"


def _rates(tried: Sequence[Tried]) -> Rates | None:
    """Return the rates of these calls; None if token counts are missing or no candidate was accepted."""
    calls = {each.step: each.call.usage for each in tried if each.call is not None and each.call.usage is not None}
    if len(calls) < len(tried) or not tried[0].accepted:
        return None
    finished = _FINISHED_SO_FAR if len(tried) > 1 else 1.0
    assumed = ", if 9 in 10 accepted tasks are finished" if len(tried) > 1 else ""
    basis = f"by these {len(tried)} calls{assumed}" if len(tried) > 1 else "by this call"
    return Rates(calls, len(tried[0].accepted), finished, basis)
