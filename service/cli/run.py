"""`seedstream run`: the whole pipeline in this process, until the target is reached."""

from functools import partial
from typing import Annotated

import anyio
import typer

from service.cli import options
from service.cli.options import Page, TaskChoice
from service.cli.terminal_text import on_terminal
from service.errors import ConfigurationError


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
    on_page: Annotated[bool, typer.Option("--web", help="Serve page and REST API of the run meanwhile.")] = False,
    open_page: options.OpenPage = False,
    web: options.WebOptions,
    log_level: options.LogLevel = None,
) -> None:
    """Run the whole pipeline until exactly N tasks are finished; run it again to continue.

    A terminal shows the tasks finished from now on. A pipe or file gets finished tasks as JSON Lines, after the last
    one that an earlier output of the run got; after a kill, those of the last second come again.

    With --web or --open, a browser shows and steers the run until it ends; `seedstream web` shows it afterwards.

    Exit codes: 0 the target is reached; 1 the log cannot be used; 2 a setting is wrong, or the language model cannot be
    reached at the start; 3 many prompts in a row gave no accepted task; 4 --max-prompts is used up; 5 the language
    model refuses or no longer answers; 6 --budget is spent; 7 the last 1,000 accepted tasks cost more than
    --max-marginal-cost on average; 8 a limit in dollars cannot be kept, because calls come without a price or without
    usage; 130, 143 or 141 stopped by Ctrl-C, SIGTERM or a closed pipe.
    """
    from service.cli.run_to_target import refuse_early, run_to_target  # noqa: PLC0415 - `--help` needs none of it
    from service.run.definition import AskedRun  # noqa: PLC0415

    settings = options.settings_from(
        run,
        recipe,
        goal,
        model,
        prices,
        web,
        concurrency=concurrency,
        patience=patience,
        seed=seed,
        log_level=log_level,
    )
    if tasks not in (None, TaskChoice.NEW) and on_terminal():
        raise ConfigurationError(
            f"--tasks {tasks}: expected a pipe or a file as standard output, got a terminal, which shows new tasks only"
        )
    page = (Page.OPENED if open_page else Page.SERVED) if on_page or open_page else Page.NONE
    asked = AskedRun(settings)
    refuse_early(asked)
    raise typer.Exit(anyio.run(partial(run_to_target, asked, tasks=tasks or TaskChoice.RESUME, page=page)))
