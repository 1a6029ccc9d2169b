"""Runs a pipeline to its target, if it has not reached it yet: for `seedstream run` and `seedstream preview`."""

import anyio
from msgspec import structs

from service.bootstrap.open_broker import open_log
from service.bootstrap.open_embedder import check_embedder, check_model
from service.cli.exit_codes import EXIT_OF_ENDING
from service.cli.options import Page, TaskChoice
from service.cli.run_output import RunOutput
from service.cli.signals import say
from service.cli.terminal_text import on_terminal
from service.messaging.messages import GoalSet
from service.run.definition import AskedRun
from service.run.goals import asked_goal, look, spent_already
from service.run.progress import Progress


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
    asked: AskedRun,
    hint: str = "run it again to continue",
    tasks: TaskChoice = TaskChoice.RESUME,
    *,
    page: Page = Page.NONE,
) -> int:
    """Define or continue the run, run it to its target, and return the exit code.

    `hint` is printed when the run is stopped by a signal; `tasks` selects the tasks that a pipe or file gets; `page`
    says whether page and REST API are served meanwhile.
    """
    settings = asked.settings
    async with open_log(settings) as broker:
        progress = await look(broker, asked)
        if progress.defined is not None:
            await anyio.to_thread.run_sync(check_embedder, progress.defined.recipe)
        goal = structs.replace(asked_goal(progress.goal, settings), paused=False)
        if progress.paused:
            say("the run was paused: it goes on")
        output = None if on_terminal() else RunOutput(broker, settings.run)
        if output is not None:
            await output.begin_at(tasks, progress.finished)
        if (over := _over_already(progress, goal)) is not None:
            if output is not None:
                await output.write_rest()
            code, told = over
            say(told)
            return code
        # The pipeline and the HTTP client, which a run that is over does not need. The loop has nothing else to do yet.
        from service.cli.run_with_model import Shown, run_on  # noqa: PLC0415

        return await run_on(broker, asked, progress, goal, Shown(hint, output, page))


def _over_already(progress: Progress, goal: GoalSet) -> tuple[int, str] | None:
    """Return the exit code and a message if there is nothing to do, else None."""
    if progress.finished >= goal.target:
        return 0, f"{progress.finished} tasks are finished, the target is {goal.target}: nothing to do"
    ended = spent_already(progress, goal)
    return None if ended is None else (EXIT_OF_ENDING[ended.ending], ended.detail)
