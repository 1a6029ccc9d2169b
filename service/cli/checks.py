"""The checks of `seedstream check`, in their order, and the lines that they print."""

from collections.abc import AsyncIterator, Sequence

import typer
from anyio import to_thread

from service.bootstrap.asked_model import AskedModels, other_apis
from service.bootstrap.open_broker import check_writable, open_log
from service.bootstrap.open_embedder import check_embedder
from service.bootstrap.open_model import probe
from service.bootstrap.open_models import open_models
from service.bootstrap.open_run import open_existing
from service.cli.terminal_text import clean
from service.cli.trial_report import check_steps
from service.dataset.example_warnings import example_warnings
from service.dataset.seed_warnings import seed_warnings
from service.dataset.subject_warnings import subject_warnings
from service.errors import RunNotFoundError
from service.lm.dispatch import Patience
from service.messaging.messages import RunDefined
from service.run.definition import AskedRun
from service.run.goals import look
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings

_IMPATIENT = Patience(attempts=3, closed_s=10.0, refused_first_s=0.0)
_BEWARE = "beware: "
_SHOWN_TOPICS = 20


async def check_all(settings: Settings) -> None:
    """Check the seeds, the recipe, the run, the log and the model in turn, and print a line for each finding."""
    asked_run = AskedRun(settings)
    definition, seeds = asked_run.new
    _tell("seeds", _described(seeds, definition.seeds))
    for warning in seed_warnings(definition.recipe, seeds):
        _tell("seeds", f"{_BEWARE}{clean(warning)}")
    _tell("recipe", f"{definition.recipe.title}, digest {definition.recipe.digest}")
    if definition.recipe.semantic is not None:
        await to_thread.run_sync(check_embedder, definition.recipe)
        _tell("meanings", f"{definition.recipe.semantic.model} is installed")
    definition = await _check_run(asked_run) or definition
    _tell_templates(definition, seeds)
    if settings.on_kafka:
        async with open_log(settings):
            _tell("log", f"{settings.broker} answers, and the topics of the run are correct")
    else:
        await to_thread.run_sync(check_writable, settings)
        _tell("log", f"{settings.sqlite_file} is writable")
    at_once = settings.model_copy(update={"lm_batch": False})
    async with open_models(at_once, _IMPATIENT, definition.recipe.steps) as models:
        async for line in _try_models(models):
            _tell("model", line)
        for other in other_apis(models, definition.recipe):
            whose = f"{' and '.join(other.steps)}: " if other.steps else ""
            _tell("model", f"{_BEWARE}{whose}asked over {other.asked_over}; {other.remedy}")
        async for line in check_steps(definition, seeds, models, settings):
            _tell("trial", line)


def _tell_templates(definition: RunDefined, seeds: Sequence[SeedTask]) -> None:
    """Tell the templates, and the subject in them."""
    _tell("templates", f"digest {definition.templates.digest}")
    for warning in example_warnings(definition.recipe, definition.templates, seeds):
        _tell("templates", f"{_BEWARE}{warning}")
    subject = definition.templates.run_subject
    if subject.about:
        _tell("about", clean(subject.about))
    if subject.topics:
        shares = [f"{clean(topic)} {share:.1%}" for topic, share in subject.shares.items()]
        more = f" and {len(shares) - _SHOWN_TOPICS} more" if len(shares) > _SHOWN_TOPICS else ""
        _tell("topics", f"{', '.join(shares[:_SHOWN_TOPICS])}{more}")
    for warning in subject_warnings(definition.recipe, definition.templates):
        _tell("about", f"{_BEWARE}{warning}")


def _described(seeds: Sequence[SeedTask], digest: str) -> str:
    """Return the number of seeds, the number of classification tasks among them, and the digest."""
    classification = sum(seed.is_classification is True for seed in seeds)
    unsaid = sum(seed.is_classification is None for seed in seeds)
    rest = f", {unsaid} not labelled" if unsaid else ""
    return f"{len(seeds)} tasks, {classification} of them classification{rest}, digest {digest}"


async def _check_run(asked: AskedRun) -> RunDefined | None:
    """Check that an existing run matches the settings and can continue; return its definition, if there is a run."""
    try:
        async with open_existing(asked.settings) as broker:
            progress = await look(broker, asked)
    except RunNotFoundError:
        return None
    if progress.defined is None:
        return None
    recipe = progress.defined.recipe
    await to_thread.run_sync(check_embedder, recipe)
    _tell("run", f"{asked.settings.run} has {progress.finished} tasks: {recipe.title}, digest {recipe.digest}")
    return progress.defined


async def _try_models(models: AskedModels) -> AsyncIterator[str]:
    away = await probe(models)
    for asked in models.each:
        whose = f"{asked.stages}: " if len(models.each) > 1 else ""
        for endpoint in asked.endpoints:
            if endpoint in away:
                yield f"{_BEWARE}{whose}{clean(str(away[endpoint]))}"
                continue
            for line in endpoint.describe().lines:
                mark = _BEWARE if line.startswith(_BEWARE) else ""
                yield clean(f"{mark}{whose}{line.removeprefix(_BEWARE)}")


def _tell(what: str, found: str) -> None:
    mark = "!! " if found.startswith(_BEWARE) else "ok "
    typer.echo(f"{mark} {what:<10} {found}")
