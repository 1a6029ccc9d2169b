"""`seedstream topics`: create, describe and check the topics of a run on Kafka."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from service.bootstrap.open_kafka import REPLICATION, TopicState, bootstrap_of, open_kafka, topic_configs
from service.bootstrap.topic_checks import TopicReport, create_missing, report
from service.cli import access, options
from service.messaging import topics
from service.settings import KAFKA_PARTITIONS, Settings


class Authentication(StrEnum):
    """A kind of authentication that Strimzi sets up for a user."""

    SCRAM = "scram-sha-512"
    TLS = "tls"
    TLS_EXTERNAL = "tls-external"


_DAY_MS = 24 * 60 * 60 * 1000
_USER = "seedstream-{run}-{account}"
User = Annotated[
    str, typer.Option("--user", help="Names of the users, with {run} and {account} to be filled in.", metavar="NAME")
]
CommandConfig = Annotated[
    Path | None,
    typer.Option("--command-config", help="Settings of kafka-acls.sh, for the login to Kafka.", metavar="FILE"),
]

app = typer.Typer(no_args_is_help=True, help="The topics of a run on Kafka.", rich_markup_mode=None)


@app.command()
@options.expand_groups
def create(
    run: options.RunOptions,
    layout: options.TopicOptions,
) -> None:
    """Create the missing topics of a run; existing topics are not changed.

    Exit codes: 0 all topics exist and are correct; 1 Kafka cannot be used; 2 some topics are wrong.
    """
    settings = options.settings_from(run, layout)
    _report(anyio.run(_create, settings))


@app.command()
@options.expand_groups
def describe(run: options.RunOptions, as_json: options.AsJson = False) -> None:
    """Show the topics of a run: partitions, replicas and settings."""
    settings = options.settings_from(run)
    states = anyio.run(_describe, settings)
    if as_json:
        options.print_json([asdict(state) for state in states])
    else:
        Console().print(_table(states, settings.run))


@app.command()
@options.expand_groups
def check(
    run: options.RunOptions,
    layout: options.TopicOptions,
) -> None:
    """Check the topics of a run; if some are wrong, print commands that fix them and exit with code 2."""
    settings = options.settings_from(run, layout)
    _report(anyio.run(_check, settings))


@app.command()
@options.expand_groups
def acls(run: options.RunOptions, user: User = _USER, command_config: CommandConfig = None) -> None:
    """Print commands that give the accounts of a run their least rights: one account for each role, and some more.

    `operator` is for goal, seeds, replay and all that shows a run, `web` for web, `reader` for consume and export,
    `creator` for topics create, `single` for run and refilter --into. A process with several roles needs the rights of
    all of them.
    """
    settings = options.settings_from(run)
    for line in access.commands(settings.run, bootstrap_of(settings), user, command_config):
        typer.echo(line)


@app.command()
@options.expand_groups
def manifest(
    *,
    run: options.RunOptions,
    layout: options.TopicOptions,
    user: User = _USER,
    cluster: Annotated[
        str, typer.Option("--cluster", help="Name of the Kafka cluster in Kubernetes.", metavar="NAME")
    ] = "my-cluster",
    authentication: Annotated[
        Authentication, typer.Option("--authentication", help="How the users prove who they are.")
    ] = Authentication.SCRAM,
) -> None:
    """Print the topics of a run and the users with their least rights as resources for Strimzi, in YAML."""
    settings = options.settings_from(run, layout)
    labels = {"strimzi.io/cluster": cluster}
    specs = topics.specs(settings.run, settings.partitions or KAFKA_PARTITIONS)
    replicas = settings.replication or REPLICATION
    configs = topic_configs([spec.name for spec in specs], replicas)
    resources = [
        *access.kafka_topics(specs, configs, replicas, labels),
        *access.kafka_users(settings.run, user, authentication, labels),
    ]
    typer.echo(access.as_yaml(resources), nl=False)


async def _create(settings: Settings) -> TopicReport:
    async with open_kafka(settings) as broker:
        await create_missing(broker, settings)
        return await report(broker, settings, with_brokers=False)


async def _check(settings: Settings) -> TopicReport:
    async with open_kafka(settings) as broker:
        return await report(broker, settings)


async def _describe(settings: Settings) -> list[TopicState]:
    async with open_kafka(settings) as broker:
        return await broker.describe_topics([spec.name for spec in topics.specs(settings.run, 1)])


def _report(found: TopicReport) -> None:
    for remark in found.remarks:
        typer.echo(f"beware: {remark}", err=True)
    if found.faults:
        typer.echo("\n".join(found.faults), err=True)
        raise typer.Exit(2)
    typer.echo("all topics exist and are correct")


def _table(states: list[TopicState], run: str) -> Table:
    """Return a table that is at most 80 columns wide."""
    prefix = f"seedstream.{run}."
    table = Table(title=f"{prefix}…", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("topic", no_wrap=True)
    for column in ("partitions", "replicas", "in sync", "at least", "kept for", "max bytes"):
        table.add_column(column, justify="right", no_wrap=True)
    for state in states:
        table.add_row(
            state.name.removeprefix(prefix),
            str(state.partitions),
            str(state.replication),
            str(state.in_sync),
            state.configs.get("min.insync.replicas", "?"),
            _kept_for(state.configs.get("retention.ms", "?")),
            state.configs.get("max.message.bytes", "?"),
        )
    return table


def _kept_for(retention_ms: str) -> str:
    if retention_ms == "-1":
        return "ever"
    if not retention_ms.isdecimal():
        return retention_ms
    return f"{int(retention_ms) / _DAY_MS:.2g} d"
