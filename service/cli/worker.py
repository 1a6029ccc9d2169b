"""`seedstream worker`: one or more roles of a run on Kafka in this process, beside other processes."""

import math
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated

import anyio
import typer
from anyio.abc import TaskGroup

from service.bootstrap.open_broker import open_log
from service.cli import options
from service.cli.signals import Stopped, stop_on_signal
from service.errors import ConfigurationError
from service.lm.dispatch import Patience
from service.messaging.broker import Broker
from service.pipeline.limits import Limits
from service.pipeline.role import STEPS, Role
from service.pipeline.roles import RoleRunner
from service.pipeline.stall import StallWatch
from service.settings import Settings

Roles = Annotated[list[Role], typer.Argument(help="Roles of this process.", metavar="ROLE…")]
Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        help="Limit on prompts without a decision; default: twice the calls in flight of this process.",
        metavar="N",
    ),
]


@dataclass(frozen=True, slots=True)
class HttpOptions(options.OptionGroup):
    """The address of a worker's health and metrics."""

    http_port: Annotated[
        int | None, typer.Option("--http-port", help="Port for health and metrics.", metavar="PORT")
    ] = None
    http_host: Annotated[
        str | None, typer.Option("--http-host", help="Address for health and metrics.", metavar="HOST")
    ] = None


@options.expand_groups
def worker(
    *,
    roles: Roles,
    run: options.RunOptions,
    model: options.ModelOptions,
    concurrency: options.Concurrency = None,
    window: Window = None,
    patience: options.Patience = None,
    prices: options.PriceOptions,
    http: HttpOptions,
    log_level: options.LogLevel = None,
) -> None:
    """Work on a run together with others: producer, generate, classify, instances, screen, admit, finish.

    For each of producer, admit and finish, one process is active; the others stand by and take over if it fails.
    `seedstream goal` defines the run and sets its target. Workers continue until they are stopped. They wait for a
    language model that is away.

    Exit codes: 0 stopped by SIGTERM or Ctrl-C; 1 Kafka cannot be used; 2 a setting or a topic is wrong; 5 the language
    model refuses or does not answer for longer than lm_gone_s; 75 another process has taken over a role, or the outcome
    of a commit is unknown: start again; 77 a right at Kafka is missing.
    """
    settings = options.settings_from(
        run,
        model,
        prices,
        http,
        concurrency=concurrency,
        window=window,
        patience=patience,
        log_level=log_level,
    )
    if not settings.on_kafka:
        raise ConfigurationError(
            f"expected --broker kafka://HOST:PORT, got {settings.broker}: an embedded log belongs to one process; "
            "`seedstream run` has all roles in one process"
        )
    anyio.run(_work, settings, list(dict.fromkeys(roles)))


async def _work(settings: Settings, roles: list[Role]) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(open_log(settings))
        models = None
        if steps := [STEPS[role] for role in roles if role in STEPS]:
            from service.bootstrap.open_models import open_models  # noqa: PLC0415 - no other role has an HTTP client

            models = await stack.enter_async_context(open_models(settings, _patience(settings), steps))
        runner = RoleRunner(broker, settings.run, roles, models, Limits.of(settings))
        stopped = Stopped()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_on_signal, runner.stop, stopped)
            if models is not None:
                from service.bootstrap.open_model import detect_servers  # noqa: PLC0415

                await tasks.start(detect_servers, models.served)
            if settings.http_port is not None:
                await _serve(runner, broker, settings, tasks)
            await runner.run()
            tasks.cancel_scope.cancel()


async def _serve(runner: RoleRunner, broker: Broker, settings: Settings, tasks: TaskGroup) -> None:
    """Serve health and metrics in a task group."""
    from service.telemetry.health_server import serve_operations  # noqa: PLC0415 - the server of aiohttp, and Prometheus

    watch = StallWatch(broker, settings.run)
    await tasks.start(serve_operations, runner.worked, watch, settings.http_host, settings.http_port)
    tasks.start_soon(watch.follow, runner.control)


def _patience(settings: Settings) -> Patience:
    """Return the patience of a worker: `lm_gone_s`, or unlimited if it is not set."""
    gone_s = math.inf if settings.lm_gone_s is None else settings.lm_gone_s
    return Patience(settings.lm_attempts, closed_s=gone_s, refused_first_s=gone_s)
