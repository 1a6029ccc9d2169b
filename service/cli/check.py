"""`seedstream check`: everything that a run needs, tried once before money is spent."""

from collections.abc import AsyncIterator, Sequence

import anyio
import typer
from anyio import to_thread

from service.bootstrap.open_broker import check_writable, open_log
from service.bootstrap.open_embedder import check_embedder
from service.bootstrap.open_model import AskedModel, open_model, probe, warn_of_other_api
from service.bootstrap.open_run import open_existing
from service.cli import options
from service.cli.rendering import clean
from service.cli.trial_report import check_steps
from service.dataset.seed_warnings import seed_warnings
from service.errors import RunNotFoundError
from service.lm.dispatch import Patience
from service.messaging.messages import RunDefined
from service.run.definition import check_same, define
from service.run.goals import look
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings

_IMPATIENT = Patience(attempts=3, closed_s=10.0, refused_first_s=0.0)
_BEWARE = "beware: "


def check(
    broker: options.Broker = None,
    run: options.Run = None,
    recipe: options.Recipe = None,
    form: options.Form = None,
    semantic: options.Semantic = None,
    semantic_threshold: options.SemanticThreshold = None,
    seeds: options.Seeds = None,
    templates: options.Templates = None,
    target: options.Target = None,
    lm: options.Lm = None,
    lm_url: options.LmUrl = None,
    model: options.Model = None,
    model_file: options.ModelFile = None,
    lm_api: options.LmApi = None,
    lm_dialect: options.LmDialect = None,
    lm_api_key_file: options.LmApiKeyFile = None,
    price_prompt: options.PricePrompt = None,
    price_completion: options.PriceCompletion = None,
) -> None:
    """Try all that a run needs: seeds, templates, the log, the model's server, and one paid call of each step.

    Exit codes: 0 it will do; 2 something is wrong, or nothing of what the model answers can be read; 5 the language
    model refuses every call.
    """
    anyio.run(_check, options.settings_from(**locals()))


async def _check(settings: Settings) -> None:
    definition, seeds = define(settings)
    _tell("seeds", _described(seeds, definition.seeds))
    for warning in seed_warnings(definition.recipe, seeds):
        _tell("seeds", f"{_BEWARE}{clean(warning)}")
    _tell("recipe", f"{definition.recipe.title}, digest {definition.recipe.digest}")
    if definition.recipe.semantic is not None:
        await to_thread.run_sync(check_embedder, definition.recipe)
        _tell("meanings", f"{definition.recipe.semantic.model} is installed")
    definition = await _check_run(settings) or definition
    _tell("templates", f"digest {definition.templates.digest}")
    if settings.on_kafka:
        async with open_log(settings):
            _tell("log", f"{settings.broker} answers, and the run's topics are as they must be")
    else:
        await to_thread.run_sync(check_writable, settings)
        _tell("log", f"{settings.sqlite_file} can be written")
    at_once = settings.model_copy(update={"lm_batch": False})
    async with open_model(at_once, _IMPATIENT) as asked:
        async for line in _try_model(asked):
            _tell("model", line)
        warn_of_other_api(asked, definition.recipe)
        async for line in check_steps(definition, seeds, asked, settings):
            _tell("trial", line)


def _described(seeds: Sequence[SeedTask], digest: str) -> str:
    """Return how many seeds there are, and of which kind as far as they say."""
    classification = sum(seed.is_classification is True for seed in seeds)
    unsaid = sum(seed.is_classification is None for seed in seeds)
    rest = f", {unsaid} do not say" if unsaid else ""
    return f"{len(seeds)} tasks, {classification} of them classification{rest}, digest {digest}"


async def _check_run(settings: Settings) -> RunDefined | None:
    """Check that a run that exists is the one that is asked for, and has what it needs to go on; returns what it is."""
    try:
        async with open_existing(settings) as broker:
            progress = await look(broker, settings)
    except RunNotFoundError:
        return None
    if progress.defined is None:
        return None
    recipe = progress.defined.recipe
    check_same(progress.defined, settings)
    await to_thread.run_sync(check_embedder, recipe)
    _tell("run", f"{settings.run} has {progress.finished} tasks: {recipe.title}, digest {recipe.digest}")
    return progress.defined


async def _try_model(asked: AskedModel) -> AsyncIterator[str]:
    away = await probe(asked)
    for endpoint in asked.endpoints:
        if endpoint in away:
            yield f"{_BEWARE}{clean(str(away[endpoint]))}"
            continue
        for line in endpoint.describe().lines:
            yield clean(line)


def _tell(what: str, found: str) -> None:
    mark = "!! " if found.startswith(_BEWARE) else "ok "
    typer.echo(f"{mark} {what:<10} {found}")
