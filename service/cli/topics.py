"""`seedstream topics`: create, describe and check the topics of a run on Kafka."""

from dataclasses import asdict

import anyio
import typer
from rich.console import Console
from rich.table import Table

from service.bootstrap.open_broker import TopicState, open_kafka, topic_faults
from service.cli import options
from service.messaging import topics
from service.settings import Settings

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
        options.print_json([{**asdict(state), "configs": dict(state.configs)} for state in states])
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


async def _create(settings: Settings) -> list[str]:
    async with open_kafka(settings) as broker:
        await broker.create_topics(topics.specs(settings.run, settings.work_partitions))
        return await topic_faults(broker, settings)


async def _check(settings: Settings) -> list[str]:
    async with open_kafka(settings) as broker:
        return await topic_faults(broker, settings)


async def _describe(settings: Settings) -> list[TopicState]:
    async with open_kafka(settings) as broker:
        return await broker.describe_topics([spec.name for spec in topics.specs(settings.run, 1)])


def _report(wrong: list[str]) -> None:
    if wrong:
        typer.echo("\n".join(wrong), err=True)
        raise typer.Exit(2)
    typer.echo("all topics exist and are correct")


def _table(states: list[TopicState], run: str) -> Table:
    prefix = f"seedstream.{run}."
    table = Table(title=f"{prefix}…", title_justify="left")
    table.add_column("topic", no_wrap=True)
    for column in ("partitions", "replicas", "in sync", "at least", "kept for", "max bytes"):
        table.add_column(column, justify="right")
    for state in states:
        kept = state.configs.get("retention.ms", "?")
        table.add_row(
            state.name.removeprefix(prefix),
            str(state.partitions),
            str(state.replication),
            str(state.in_sync),
            state.configs.get("min.insync.replicas", "?"),
            "ever" if kept == "-1" else f"{kept} ms",
            state.configs.get("max.message.bytes", "?"),
        )
    return table
