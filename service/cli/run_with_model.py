"""Opens the language model and runs the pipeline under a view, until it ends or is stopped."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from signal import SIGPIPE

import anyio

from producers.samples import latest_model
from service.bootstrap.asked_model import AskedModels, warn_of_other_api
from service.bootstrap.open_model import probe
from service.bootstrap.open_models import open_models
from service.cli.exit_codes import EXIT_OF_ENDING
from service.cli.live_view import open_view
from service.cli.options import Page
from service.cli.outlook import StagePrices, outlook_by_length, outlook_of
from service.cli.page import tell_of_page
from service.cli.run_output import RunOutput
from service.cli.signals import EXIT_SIGNALLED, Stopped, say, stop_on_signal
from service.cli.terminal_text import clean, on_terminal
from service.dataset.run_warnings import run_warnings
from service.lm.dispatch import Patience
from service.lm.errors import EndpointRefusedError
from service.messaging.broker import Broker
from service.messaging.messages import Ending, GoalSet, Message, RunDefined, RunEnded
from service.pipeline.limits import Limits
from service.pipeline.role import SINGLE
from service.pipeline.single_process import Pipeline
from service.run.definition import AskedRun
from service.run.goals import begin, check_budget, priced_as_before
from service.run.pace import Pace
from service.run.progress import Progress
from service.run.topic_shares import missed_shares, unasked_shares
from service.runtime.leader_election import elected
from service.selfinstruct.steps import Step
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings

_PATIENCE_SESSIONS = 2.0
_PATIENCE_S = 600.0
_SHOWN_TOPICS = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """How a run is shown: the hint when it is stopped, the output of its tasks, and whether a page is served.

    Without `output`, a terminal shows the tasks.
    """

    hint: str
    output: RunOutput | None
    page: Page = Page.NONE


async def run_on(broker: Broker, asked: AskedRun, progress: Progress, goal: GoalSet, shown: Shown) -> int:
    """Define the run or set its goal, run it, and return the exit code."""
    settings = priced_as_before(asked.settings, goal)
    if goal.price is not None and settings != asked.settings:
        say(f"priced as before: ${goal.price.prompt:g} and ${goal.price.completion:g} per million tokens in and out")
    steps = (progress.defined or asked.new.definition).recipe.steps
    async with (
        open_models(settings, _patience_of(settings), steps) as models,
        _alone(broker, settings),
        _served(settings, broker, models, shown.page) as url,
    ):
        for model in models.each:
            check_budget(goal, settings.of_step(model.steps[0]), model.name, model.steps if model.place else ())
        await probe(models.served)
        writer = models.by_step[Step.INSTRUCTIONS].name
        if progress.defined and (told := _other_model(await latest_model(broker, settings.run), writer)):
            say(told)
        if progress.defined is None:
            _say_before(*asked.new, goal, StagePrices.of(settings, models.names))
        definition = await begin(broker, asked, progress, goal)
        warn_of_other_api(models, definition.recipe)
        pipeline = Pipeline(broker, definition, models, Limits.of(settings))
        if url is not None:
            await tell_of_page(url, shown.page)
        code = await _run_shown(pipeline, progress.finished, shown)
        if url is not None:
            say("the page ends with this process; `seedstream web` shows the run from now on")
        return code


@asynccontextmanager
async def _served(settings: Settings, broker: Broker, models: AskedModels, page: Page) -> AsyncIterator[str | None]:
    """Serve page and REST API inside the block, if a page is wanted, and yield the URL.

    This comes before the run is defined: a port that is taken leaves no run behind.
    """
    if page is Page.NONE:
        yield None
        return
    from service.web.server.start import serving_own_run  # noqa: PLC0415 - the server of aiohttp

    async with serving_own_run(settings, broker, models) as url:
        yield url


def _other_model(latest: str | None, asked: str) -> str:
    """Return a warning if another model wrote the latest tasks of the run; a suffix or prefix makes no difference."""
    if latest is None or latest.startswith(asked) or asked.startswith(latest) or latest.endswith(asked):
        return ""
    return (
        f"beware: the latest tasks of this run are by {clean(latest)}, and {clean(asked)} is asked now; "
        "use another --run to keep them separate"
    )


def _say_before(definition: RunDefined, seeds: Sequence[SeedTask], goal: GoalSet, prices: StagePrices) -> None:
    """Print warnings about the seeds of a new run, and the expected cost of its target."""
    for warning in run_warnings(definition.recipe, definition.templates, seeds):
        say(f"beware: {clean(warning)}")
    say(f"{definition.recipe.title}; {outlook_by_length(definition, seeds, goal.target, prices)}")


def _patience_of(settings: Settings) -> Patience:
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


async def _run_shown(pipeline: Pipeline, finished: int, shown: Shown) -> int:
    """Run the pipeline under a view until it ends or is stopped, and return the exit code.

    `finished` is the number of tasks finished before this process started.
    """
    pace, stopped, output = Pace(finished_before=finished), Stopped(), shown.output

    def stop() -> None:
        pace.stop()
        pipeline.stop()
        if output is not None:
            output.hurry()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, stop, stopped)
        async with open_view(lambda: (pipeline.progress, pipeline.models.told), pace) as view:
            if output is None:
                ended = await pipeline.run(view.observe, _say_forecast)
            else:
                ended = await _run_into(output, pipeline)
        tasks.cancel_scope.cancel()
    if output is not None and output.is_closed:
        stopped.by = stopped.by or SIGPIPE
    return _told(pipeline, ended, stopped, shown.hint)


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
    for share in missed_shares(pipeline.progress)[:_SHOWN_TOPICS]:
        reached = f"{share.finished} tasks of topic {clean(share.topic)!r}, {share.reached:.1%} of all"
        say(f"beware: {reached}, and {share.wanted:.1%} is wanted")
    if unasked := [repr(clean(share.topic)) for share in unasked_shares(pipeline.progress)]:
        more = f" and {len(unasked) - _SHOWN_TOPICS} more" if len(unasked) > _SHOWN_TOPICS else ""
        say(
            f"beware: no prompt was for the topics {', '.join(unasked[:_SHOWN_TOPICS])}{more}: "
            "one prompt gives more tasks than such small shares of this run; a higher --target reaches them"
        )
    if ended is not None:
        if ended.ending is Ending.TARGET_REACHED and on_terminal():
            say("`seedstream export` writes the tasks to a file; `seedstream explain ID` shows the origin of a task;")
            say("a higher --target continues the run")
        say(f"{ended.ending.value.replace('_', ' ')}: {ended.detail}")
        return EXIT_OF_ENDING[ended.ending]
    say(f"stopped with {pipeline.progress.finished} of {pipeline.progress.target} tasks finished; {hint}")
    return EXIT_SIGNALLED + stopped.by if stopped.by is not None else 1


def _say_forecast(progress: Progress) -> None:
    """Print the forecast cost of the run, if it can be estimated from earlier calls of the run."""
    if told := outlook_of(progress):
        say(told)
