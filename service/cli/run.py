"""`seedstream run`: the whole pipeline in this process, until the target is reached."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from signal import SIGPIPE

import anyio
import typer

from producers.samples import latest_model
from service.bootstrap.asked_model import warn_of_other_api
from service.bootstrap.open_broker import open_log
from service.bootstrap.open_embedder import check_embedder, check_model
from service.bootstrap.open_model import open_model, probe
from service.cli import options
from service.cli.garbage import spare_garbage_collection
from service.cli.live_view import on_terminal, open_view
from service.cli.options import TaskChoice
from service.cli.outlook import outlook_by_length, outlook_of
from service.cli.pace import Pace
from service.cli.run_output import RunOutput
from service.cli.signals import EXIT_SIGNALLED, Stopped, say, stop_on_signal
from service.cli.terminal_text import clean
from service.dataset.seed_warnings import seed_warnings
from service.errors import ConfigurationError
from service.lm.dispatch import Patience
from service.lm.errors import EndpointRefusedError
from service.messaging.broker import Broker
from service.messaging.messages import Ending, GoalSet, Message, RunDefined, RunEnded
from service.pipeline.limits import Limits
from service.pipeline.role import SINGLE
from service.pipeline.single_process import Pipeline
from service.run.definition import AskedRun
from service.run.goals import asked_goal, begin, check_budget, look, priced_as_before, spent_already
from service.run.progress import Progress
from service.runtime.leader_election import elected
from service.selfinstruct.tasks import SeedTask
from service.settings import LmKind, Settings

_PATIENCE_SESSIONS = 2.0
_PATIENCE_S = 600.0
_EXIT_OF_ENDING = {
    Ending.TARGET_REACHED: 0,
    Ending.STALLED: 3,
    Ending.PROMPTS_EXHAUSTED: 4,
    Ending.BUDGET_SPENT: 6,
    Ending.TOO_EXPENSIVE: 7,
    Ending.PRICE_UNKNOWN: 8,
}


@options.expand_groups
def run(
    *,
    run: options.RunOptions,
    recipe: options.RecipeOptions,
    goal: options.GoalOptions,
    model: options.ModelOptions,
    concurrency: options.Concurrency = None,
    patience: options.Patience = None,
    seed: options.Seed = None,
    prices: options.PriceOptions,
    tasks: options.Tasks = None,
    log_level: options.LogLevel = None,
) -> None:
    """Run the whole pipeline until exactly N tasks are finished; run it again to continue.

    A terminal shows the tasks finished from now on. A pipe or file gets finished tasks as JSON Lines, after the last
    one that an earlier output of the run got; after a kill, those of the last second come again.

    Exit codes: 0 the target is reached; 1 the log cannot be used; 2 a setting is wrong, or the language model cannot be
    reached at the start; 3 many prompts in a row gave no accepted task; 4 --max-prompts is used up; 5 the language
    model refuses or no longer answers; 6 --budget is spent; 7 the last 1,000 accepted tasks cost more than
    --max-marginal-cost on average; 8 a limit in dollars cannot be kept, because calls come without a price or without
    usage; 130, 143 or 141 stopped by Ctrl-C, SIGTERM or a closed pipe.
    """
    settings = options.settings_from(
        run,
        recipe,
        goal,
        model,
        prices,
        concurrency=concurrency,
        patience=patience,
        seed=seed,
        log_level=log_level,
    )
    if tasks not in (None, TaskChoice.NEW) and on_terminal():
        raise ConfigurationError(
            f"--tasks {tasks}: expected a pipe or a file as standard output, got a terminal, which shows new tasks only"
        )
    asked = AskedRun(settings)
    refuse_early(asked)
    spare_garbage_collection()
    raise typer.Exit(anyio.run(partial(run_to_target, asked, tasks=tasks or TaskChoice.RESUME)))


def refuse_early(asked: AskedRun) -> None:
    """Raise an error for unusable seeds, templates or embedding models, before the log is opened or a call is made."""
    settings = asked.settings
    if settings.compares_meanings:
        check_model()
    if settings.on_kafka or settings.sqlite_file.exists():
        asked.check_files()
    else:
        _ = asked.new  # raises if it cannot be


async def run_to_target(
    asked: AskedRun, hint: str = "run it again to continue", tasks: TaskChoice = TaskChoice.RESUME
) -> int:
    """Define or continue the run, run it to its target, and return the exit code.

    `hint` is printed when the run is stopped by a signal; `tasks` selects the tasks that a pipe or file gets.
    """
    settings = asked.settings
    async with open_log(settings) as broker:
        progress = await look(broker, asked)
        if progress.defined is not None:
            await anyio.to_thread.run_sync(check_embedder, progress.defined.recipe)
        goal = asked_goal(progress.goal, settings)
        output = None if on_terminal() else RunOutput(broker, settings.run)
        if output is not None:
            await output.begin_at(tasks, progress.finished)
        if (over := _over_already(progress, goal)) is not None:
            if output is not None:
                await output.write_rest()
            code, told = over
            say(told)
            return code
        return await _run_on(broker, asked, progress, goal, hint, output)


async def _run_on(
    broker: Broker, asked: AskedRun, progress: Progress, goal: GoalSet, hint: str, output: RunOutput | None
) -> int:
    """Define the run or set its goal, run it, and return the exit code."""
    settings = priced_as_before(asked.settings, goal)
    if goal.price is not None and settings != asked.settings:
        say(f"priced as before: ${goal.price.prompt:g} and ${goal.price.completion:g} per million tokens in and out")
    async with open_model(settings, patience_of(settings)) as model, _alone(broker, settings):
        check_budget(goal, settings, model.name)
        if settings.lm is LmKind.OPENAI:
            await probe(model)
        if progress.defined and (told := _other_model(await latest_model(broker, settings.run), model.name)):
            say(told)
        if progress.defined is None:
            _say_before(*asked.new, goal, settings, model.name)
        definition = await begin(broker, asked, progress, goal)
        warn_of_other_api(model, definition.recipe)
        pipeline = Pipeline(broker, definition, model, Limits.of(settings))
        return await _run_shown(pipeline, progress.finished, hint, output)


def _over_already(progress: Progress, goal: GoalSet) -> tuple[int, str] | None:
    """Return the exit code and a message if there is nothing to do, else None."""
    if progress.finished >= goal.target:
        return 0, f"{progress.finished} tasks are finished, the target is {goal.target}: nothing to do"
    ended = spent_already(progress, goal)
    return None if ended is None else (_EXIT_OF_ENDING[ended.ending], ended.detail)


def _other_model(latest: str | None, asked: str) -> str:
    """Return a warning if another model wrote the latest tasks of the run; a suffix or prefix makes no difference."""
    if latest is None or latest.startswith(asked) or asked.startswith(latest) or latest.endswith(asked):
        return ""
    return (
        f"beware: the latest tasks of this run are by {clean(latest)}, and {clean(asked)} is asked now; "
        "use another --run to keep them separate"
    )


def _say_before(
    definition: RunDefined, seeds: Sequence[SeedTask], goal: GoalSet, settings: Settings, model: str
) -> None:
    """Print warnings about the seeds of a new run, and the expected cost of its target."""
    for warning in seed_warnings(definition.recipe, seeds):
        say(f"beware: {clean(warning)}")
    say(f"{definition.recipe.title}; {outlook_by_length(definition, seeds, goal.target, settings, model)}")


def patience_of(settings: Settings) -> Patience:
    """Return the patience of a run: none if the server refuses the first calls, else `lm_gone_s` or ten minutes."""
    return Patience(
        settings.lm_attempts,
        closed_s=_PATIENCE_S if settings.lm_gone_s is None else settings.lm_gone_s,
        refused_first_s=0.0,
    )


@asynccontextmanager
async def _alone(broker: Broker, settings: Settings) -> AsyncIterator[None]:
    """Ensure that no other process works on the run; on the embedded log, the broker itself ensures this."""
    if settings.on_kafka:
        async with elected(broker, settings.run, SINGLE, _PATIENCE_SESSIONS * settings.kafka_session_s):
            yield
    else:
        yield


async def _run_shown(pipeline: Pipeline, finished: int, hint: str, output: RunOutput | None) -> int:
    """Run the pipeline under a view until it ends or is stopped, and return the exit code.

    `finished` is the number of tasks finished before this process started; without `output`, a terminal shows tasks.
    """
    pace, stopped = Pace(finished_before=finished), Stopped()

    def stop() -> None:
        pace.stop()
        pipeline.stop()
        if output is not None:
            output.hurry()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, stop, stopped)
        async with open_view(lambda: (pipeline.progress, pipeline.dispatcher.told), pace) as view:
            if output is None:
                ended = await pipeline.run(view.observe, _say_forecast)
            else:
                ended = await _run_into(output, pipeline)
        tasks.cancel_scope.cancel()
    if output is not None and output.is_closed:
        stopped.by = stopped.by or SIGPIPE
    return _told(pipeline, ended, stopped, hint)


async def _run_into(output: RunOutput, pipeline: Pipeline) -> RunEnded | None:
    """Run the pipeline while its finished tasks are written; after a refusal of the model, the rest is written too."""
    ended: RunEnded | None = None
    refusal: EndpointRefusedError | None = None
    async with output.following(on_closed=pipeline.stop):
        try:
            ended = await pipeline.run(_ignore, _say_forecast)
        except EndpointRefusedError as error:
            refusal = error
    if refusal is not None:
        raise refusal
    return ended


async def _ignore(_: Message) -> None:
    """Show nothing: the output reads the tasks from the log."""


def _told(pipeline: Pipeline, ended: RunEnded | None, stopped: Stopped, hint: str) -> int:
    """Print the end of the run, and return its exit code."""
    if ended is not None:
        if ended.ending is Ending.TARGET_REACHED and on_terminal():
            say("`seedstream export` writes the tasks to a file; `seedstream explain ID` shows the origin of a task;")
            say("a higher --target continues the run")
        say(f"{ended.ending.value.replace('_', ' ')}: {ended.detail}")
        return _EXIT_OF_ENDING[ended.ending]
    say(f"stopped with {pipeline.progress.finished} of {pipeline.progress.target} tasks finished; {hint}")
    return EXIT_SIGNALLED + stopped.by if stopped.by is not None else 1


def _say_forecast(progress: Progress) -> None:
    """Print the forecast cost of the run, if it can be estimated from earlier calls of the run."""
    if told := outlook_of(progress):
        say(told)
