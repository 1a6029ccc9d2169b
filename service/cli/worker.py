"""`seedstream worker`: one or more roles of a run in this process, beside others, on Kafka."""

import math
from contextlib import AsyncExitStack
from typing import Annotated

import anyio
import typer

from service.bootstrap.open_broker import open_log
from service.bootstrap.open_model import open_model, probe
from service.cli import options
from service.cli.signals import Stopped, stop_on_signal
from service.errors import ConfigurationError
from service.lm.dispatch import Patience
from service.pipeline.limits import Limits
from service.pipeline.roles import CALLING, Role, RoleRunner
from service.settings import LmKind, Settings
from service.telemetry.health_server import serve_operations

Roles = Annotated[list[Role], typer.Argument(help="What this process does.", metavar="ROLE…")]


def worker(
    roles: Roles,
    broker: options.Broker = None,
    run: options.Run = None,
    lm: options.Lm = None,
    lm_url: options.LmUrl = None,
    model: options.Model = None,
    model_file: options.ModelFile = None,
    lm_api: options.LmApi = None,
    lm_dialect: options.LmDialect = None,
    lm_api_key_file: options.LmApiKeyFile = None,
    concurrency: options.Concurrency = None,
    window: options.Window = None,
    patience: options.Patience = None,
    price_prompt: options.PricePrompt = None,
    price_completion: options.PriceCompletion = None,
    http_port: options.HttpPort = None,
    http_host: options.HttpHost = None,
    log_level: options.LogLevel = None,
) -> None:
    """Work on a run together with others: producer, generate, classify, instances, screen, admit, finish.

    Of producer, admit and finish one process is active; others stand by and take over. `seedstream goal` says what the
    run is and what is wanted of it; workers go on until they are stopped.

    Exit codes: 0 stopped by SIGTERM or Ctrl-C; 1 Kafka cannot be used; 2 a setting or a topic is wrong, or the language
    model cannot be reached at the start; 5 the language model refuses or answers no more; 75 another process has taken
    a role over, or nobody knows how a commit ended: start again.
    """
    flags = {name: value for name, value in locals().items() if name != "roles"}
    settings = options.settings_from(**flags)
    if not settings.on_kafka:
        raise ConfigurationError(
            f"expected --broker kafka://HOST:PORT, got {settings.broker}: an embedded log belongs to one process; "
            "`seedstream run` does everything in one"
        )
    anyio.run(_work, settings, list(dict.fromkeys(roles)))


async def _work(settings: Settings, roles: list[Role]) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(open_log(settings))
        model = None
        if CALLING.intersection(roles):
            model = await stack.enter_async_context(open_model(settings, _patience(settings)))
            if settings.lm is LmKind.OPENAI:
                await probe(model)
        runner = RoleRunner(broker, settings.run, roles, model, Limits.of(settings))
        stopped = Stopped()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_on_signal, runner.stop, stopped)
            if settings.http_port is not None:
                await tasks.start(serve_operations, runner.worked, settings.http_host, settings.http_port)
            await runner.run()
            tasks.cancel_scope.cancel()


def _patience(settings: Settings) -> Patience:
    """Return how long a worker goes on without an answer: as long as it takes, unless that is limited."""
    gone_s = math.inf if settings.lm_gone_s is None else settings.lm_gone_s
    return Patience(settings.lm_attempts, closed_s=gone_s, refused_first_s=gone_s)
