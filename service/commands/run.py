"""`seedstream run`: the whole pipeline in this process, until exactly as many tasks are finished as wanted."""

import os
import sys
from dataclasses import dataclass
from signal import SIGINT, SIGPIPE, SIGTERM, Signals

import anyio
import typer

from producers.seeds import define_run
from service import codec, topics
from service.adapters.sqlite import SqliteBroker
from service.broker import Broker
from service.commands import options
from service.console import Pace
from service.dataset.seeds import load_seeds
from service.dataset.templates import load_templates
from service.definition import check_same, define
from service.messages import Ending, GoalSet, Message, RunDefined
from service.models import as_model, open_endpoint, probe
from service.pipeline import Limits, Observer, Pipeline
from service.progress import Progress
from service.replay import replay
from service.settings import LmKind, Settings
from service.views import View, open_view

_EXIT_OF_ENDING = {Ending.TARGET_REACHED: 0, Ending.STALLED: 3, Ending.PROMPTS_EXHAUSTED: 4}
_EXIT_SIGNALLED = 128


def run(
    broker: options.Broker = None,
    run: options.Run = None,
    recipe: options.Recipe = None,
    seeds: options.Seeds = None,
    templates: options.Templates = None,
    target: options.Target = None,
    max_prompts: options.MaxPrompts = None,
    lm: options.Lm = None,
    lm_url: options.LmUrl = None,
    model: options.Model = None,
    model_file: options.ModelFile = None,
    lm_api: options.LmApi = None,
    lm_api_key_file: options.LmApiKeyFile = None,
    concurrency: options.Concurrency = None,
    patience: options.Patience = None,
    seed: options.Seed = None,
    price_prompt: options.PricePrompt = None,
    price_completion: options.PriceCompletion = None,
    log_level: options.LogLevel = None,
) -> None:
    """Run the whole pipeline until exactly N tasks are finished; run it again to go on.

    Exit codes: 0 the target is reached; 1 the log cannot be used; 2 a setting is wrong, or the language model cannot be
    reached at the start; 3 no acceptance for many prompts; 4 --max-prompts is used up; 5 the language model refuses or
    answers no more; 130, 143 or 141 stopped by Ctrl-C, SIGTERM or a closed pipe.
    """
    settings = options.settings_from(**locals())
    refuse_early(settings)
    raise typer.Exit(anyio.run(run_to_target, settings))


def refuse_early(settings: Settings) -> None:
    """Refuse seeds and templates that cannot be used, before anything is opened or asked."""
    if settings.sqlite_file.exists():
        load_seeds(settings.seeds)
        load_templates(settings.templates)
    else:
        define(settings)


async def run_to_target(settings: Settings, hint: str = "run it again to go on") -> int:
    """Define the run, or find it as it was left, and run it; returns the exit code.

    `hint` is what to tell someone who stopped it.
    """
    async with SqliteBroker.open(settings.sqlite_file) as broker:
        await broker.create_topics(topics.specs(settings.run, settings.partitions))
        progress = await _look(broker, settings)
        goal = _goal(progress.goal, settings)
        if progress.finished >= goal.target:
            _say(f"{progress.finished} tasks are finished and {goal.target} are wanted: nothing to do")
            return 0
        async with open_endpoint(settings) as endpoint:
            if settings.lm is LmKind.OPENAI:
                await probe(endpoint)
            definition = await _begin(broker, settings, progress, goal)
            pipeline = Pipeline(broker, definition, as_model(endpoint, settings), _limits(settings))
            return await _run_shown(pipeline, progress.finished, hint)


async def _look(broker: Broker, settings: Settings) -> Progress:
    """Return what the run is and how far it has got, if it has begun; changes nothing.

    Raises:
        RunMismatchError: the run exists with another recipe, other seeds or other templates than asked for.
        ConfigurationError: it does not exist, and cannot with what is asked for.
    """
    progress = Progress()
    await replay(broker, settings.run, (topics.CONTROL, topics.TASKS), progress.apply)
    if progress.defined is not None:
        check_same(progress.defined, settings)
    else:
        define(settings)
    return progress


async def _begin(broker: Broker, settings: Settings, progress: Progress, goal: GoalSet) -> RunDefined:
    """Write what the run is, if it is new, or what is wanted of it now; returns what it is."""
    if progress.defined is None:
        definition, seeds = define(settings)
        await define_run(broker, definition, goal, seeds)
        return definition
    if goal != progress.goal or progress.ended is not None:
        async with broker.producer() as producer:
            await producer.send([codec.encode(goal, settings.run)])
    return progress.defined


def _goal(before: GoalSet | None, settings: Settings) -> GoalSet:
    """Return the goal asked for; what was not asked for stays as it was."""
    asked = GoalSet(run=settings.run, target=settings.target, max_prompts=settings.max_prompts)
    if before is None:
        return asked
    kept = {name: getattr(before, name) for name in ("target", "max_prompts") if name not in settings.model_fields_set}
    return asked.model_copy(update=kept)


@dataclass(slots=True)
class _Stopped:
    """Why the pipeline was asked to stop, if it was."""

    by: Signals | None = None


def _limits(settings: Settings) -> Limits:
    return Limits(settings.calls_in_flight, settings.patience, settings.drain_s)


async def _run_shown(pipeline: Pipeline, finished: int, hint: str) -> int:
    """Run the pipeline under a view until it ends or is stopped; returns the exit code.

    `finished` tasks were there before, and are no work of this process.
    """
    pace, stopped = Pace(finished_before=finished), _Stopped()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, pipeline, stopped)
        async with open_view(lambda: (pipeline.progress, pipeline.slots.in_use), pace) as view:
            ended = await pipeline.run(_until_closed(view, pipeline, stopped))
        tasks.cancel_scope.cancel()
    if ended is not None:
        if ended.ending is Ending.TARGET_REACHED and sys.stdout is not None and sys.stdout.isatty():
            _say("`seedstream export` writes them to a file, `seedstream explain ID` tells where one comes from,")
            _say("a higher --target goes on")
        _say(f"{ended.ending.value.replace('_', ' ')}: {ended.detail}")
        return _EXIT_OF_ENDING[ended.ending]
    _say(f"stopped with {pipeline.progress.finished} of {pipeline.progress.target} tasks finished; {hint}")
    return _EXIT_SIGNALLED + stopped.by if stopped.by is not None else 1


def _until_closed(view: View, pipeline: Pipeline, stopped: _Stopped) -> Observer:
    """Return an observer that shows messages until nobody reads them any more; the pipeline stops then."""

    async def observe(message: Message) -> None:
        if stopped.by is SIGPIPE:
            return
        try:
            await view.observe(message)
        except BrokenPipeError:
            stopped.by = SIGPIPE
            sys.stdout = None  # or the interpreter would try to flush it at exit
            pipeline.stop()

    return observe


async def _stop_on_signal(pipeline: Pipeline, stopped: _Stopped) -> None:
    """Drain at the first signal, exit at once at the second."""
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for signal in signals:
            if stopped.by is not None:
                _say(f"{Signals(signal).name}: stopped at once; run it again to go on")
                os._exit(_EXIT_SIGNALLED + signal)
            stopped.by = Signals(signal)
            _say(f"{stopped.by.name}: finishing the calls in flight; once more to exit at once")
            pipeline.stop()


def _say(line: str) -> None:
    """Tell a person; the line is put above a live view, which stands in the place of standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
