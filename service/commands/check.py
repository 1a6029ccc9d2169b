"""`seedstream check`: everything that a run needs, tried once before money is spent."""

from collections.abc import AsyncIterator

import anyio
import typer
from anyio import to_thread

from producers.prompts import SamplingPool, write_prompt
from service.adapters.minilm import check_embedder
from service.adapters.sqlite.storage import Storage
from service.commands import options
from service.console import clean
from service.definition import define
from service.dispatch import Patience
from service.errors import RunNotFoundError
from service.goals import look
from service.inspection import open_existing
from service.logs import open_log
from service.messages import Call, Origin, PooledTask, RunDefined
from service.models import AskedModel, open_model, probe
from service.selfinstruct.judging import judge
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.similarity import SimilarityIndex
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings

_IMPATIENT = Patience(attempts=3, closed_s=10.0, refused_first_s=0.0)


def check(
    broker: options.Broker = None,
    run: options.Run = None,
    recipe: options.Recipe = None,
    semantic: options.Semantic = None,
    semantic_threshold: options.SemanticThreshold = None,
    seeds: options.Seeds = None,
    templates: options.Templates = None,
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
    """Try all that a run needs: seeds, templates, the log, the model's server, and one prompt, which is paid."""
    anyio.run(_check, options.settings_from(**locals()))


async def _check(settings: Settings) -> None:
    definition, seeds = define(settings)
    classification = sum(seed.is_classification for seed in seeds)
    _ok("seeds", f"{len(seeds)} tasks, {classification} of them classification, digest {definition.seeds}")
    _ok("recipe", f"{definition.recipe.name}, digest {definition.recipe.digest}")
    if definition.recipe.semantic is not None:
        await to_thread.run_sync(check_embedder, definition.recipe)
        _ok("meanings", f"{definition.recipe.semantic.model} is installed")
    await _check_run(settings)
    _ok("templates", f"digest {definition.templates.digest}")
    if settings.on_kafka:
        async with open_log(settings):
            _ok("log", f"{settings.broker} answers, and the run's topics are as they must be")
    else:
        await to_thread.run_sync(_try_log, settings)
        _ok("log", f"{settings.sqlite_file} can be written")
    at_once = settings.model_copy(update={"lm_batch": False})
    async with open_model(at_once, _IMPATIENT) as asked:
        async for line in _try_model(asked, definition, seeds):
            _ok("model", line)


async def _check_run(settings: Settings) -> None:
    """Check that a run that exists is the one that is asked for, and has what it needs to go on."""
    try:
        async with open_existing(settings) as broker:
            progress = await look(broker, settings)
    except RunNotFoundError:
        return
    if progress.defined is not None:
        await to_thread.run_sync(check_embedder, progress.defined.recipe)
        _ok("run", f"{settings.run} has {progress.finished} tasks, recipe digest {progress.defined.recipe.digest}")


def _try_log(settings: Settings) -> None:
    """Open the run's log as a run would; what was not there is not left behind."""
    file = settings.sqlite_file
    existed = file.exists()
    Storage(file, read_only=False).close()
    if not existed:
        for path in (file, file.with_suffix(".lock")):
            path.unlink(missing_ok=True)


async def _try_model(asked: AskedModel, definition: RunDefined, seeds: tuple[SeedTask, ...]) -> AsyncIterator[str]:
    away = await probe(asked)
    for endpoint in asked.endpoints:
        if endpoint in away:
            yield f"beware: {clean(str(away[endpoint]))}"
            continue
        for line in endpoint.describe().lines:
            yield clean(line)
    pool = SamplingPool()
    for place, seed in enumerate(seeds):
        pool.apply(PooledTask(pool_seq=place, id=seed.id, origin=Origin.HUMAN, instruction=seed.instruction, seed=seed))
    prompt = write_prompt(definition, pool, 0)
    completion = await asked.model.complete(prompt.text, definition.recipe.instruction_sampling)
    index = SimilarityIndex(definition.recipe.filters.rouge_threshold)
    for seed in seeds:
        index.add(seed.instruction)
    candidates = parse_instructions(definition.recipe, completion.text, truncated=Call.of(completion).truncated)
    verdicts = judge(definition.recipe, candidates, index)
    accepted = [verdict.candidate.instruction for verdict in verdicts if verdict.accepted]
    cost = "unknown" if completion.cost_usd is None else f"${completion.cost_usd:.6f}"
    usage = completion.usage
    tokens = "tokens unknown" if usage is None else f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out"
    yield f"one prompt: {len(verdicts)} candidates, {len(accepted)} accepted, {tokens}, cost {cost}"
    for instruction in accepted[:3]:
        yield f"for example: {clean(instruction)}"


def _ok(what: str, found: str) -> None:
    mark = "!! " if found.startswith("beware") else "ok "
    typer.echo(f"{mark} {what:<10} {found}")
