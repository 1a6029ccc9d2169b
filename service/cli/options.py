"""The options that several commands share, and how flags become settings."""

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from service.selfinstruct.recipe import RecipeName
from service.settings import LmKind, Settings, load_settings
from service.telemetry.log_setup import configure_logging

Broker = Annotated[
    str | None, typer.Option("--broker", help="Where the log is: sqlite:DIR or kafka://HOST:PORT,….", metavar="LOG")
]
Run = Annotated[str | None, typer.Option("--run", help="The run's name.", metavar="NAME")]
Recipe = Annotated[RecipeName | None, typer.Option("--recipe", help="The procedure to follow.")]
Form = Annotated[
    str | None,
    typer.Option("--form", help="Ask for tasks as text or as json; auto: json with chat, else text.", metavar="FORM"),
]
Seeds = Annotated[
    Path | None,
    typer.Option(
        "--seeds", help="Seed tasks, JSON Lines or a JSON array; our 175 where none is named.", metavar="FILE"
    ),
]
Templates = Annotated[
    Path | None, typer.Option("--templates", help="Folder of prompt templates that replace ours.", metavar="DIR")
]
Semantic = Annotated[
    bool | None,
    typer.Option("--semantic", help="Record for each candidate which task is nearest in meaning; decides nothing."),
]
SemanticThreshold = Annotated[
    float | None,
    typer.Option("--semantic-threshold", help="Refuse what is nearer in meaning than this cosine.", metavar="T"),
]
Target = Annotated[int | None, typer.Option("--target", help="Finished tasks wanted.", metavar="N")]
MaxPrompts = Annotated[int | None, typer.Option("--max-prompts", help="Never issue more prompts.", metavar="N")]
Budget = Annotated[
    float | None,
    typer.Option("--budget", help="US dollars that the run may cost since its beginning; 0: no limit.", metavar="USD"),
]
MaxMarginalCost = Annotated[
    float | None,
    typer.Option(
        "--max-marginal-cost",
        help="US dollars that each of the last 1,000 accepted tasks may cost; 0: no limit.",
        metavar="USD",
    ),
]
Rpm = Annotated[
    float | None, typer.Option("--rpm", help="Calls a minute of all processes together; 0: no limit.", metavar="N")
]
Tpm = Annotated[
    float | None, typer.Option("--tpm", help="Tokens a minute of all processes together; 0: no limit.", metavar="N")
]
MaxInFlight = Annotated[
    int | None,
    typer.Option("--max-in-flight", help="Calls in flight of all processes together; 0: no limit.", metavar="N"),
]
Partitions = Annotated[
    int | None, typer.Option("--partitions", help="Partitions of the topics that are shared out.", metavar="N")
]
Replication = Annotated[int | None, typer.Option("--replication", help="Copies of each topic.", metavar="N")]
Window = Annotated[
    int | None,
    typer.Option("--window", help="Prompts without a decision; twice the calls in flight of all.", metavar="N"),
]
HttpPort = Annotated[int | None, typer.Option("--http-port", help="Serve health and metrics there.", metavar="PORT")]
HttpHost = Annotated[str | None, typer.Option("--http-host", help="Address for them.", metavar="HOST")]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed of sampling.", metavar="INT")]
Lm = Annotated[LmKind | None, typer.Option("--lm", help="Which language model answers.")]
LmUrl = Annotated[str | None, typer.Option("--lm-url", help="OpenAI-compatible server.", metavar="URL")]
Model = Annotated[str | None, typer.Option("--model", help="The model's name at the server.", metavar="NAME")]
ModelFile = Annotated[Path | None, typer.Option("--model-file", help="GGUF file for --lm local.", metavar="FILE")]
LmApi = Annotated[str | None, typer.Option("--lm-api", help="chat or completions.", metavar="API")]
LmDialect = Annotated[
    str | None, typer.Option("--lm-dialect", help="What kind of server it is; auto finds out.", metavar="DIALECT")
]
LmApiKeyFile = Annotated[
    Path | None, typer.Option("--lm-api-key-file", help="File that holds the API key.", metavar="FILE")
]
Concurrency = Annotated[int | None, typer.Option("--concurrency", help="Calls in flight.", metavar="C")]
Patience = Annotated[
    int | None, typer.Option("--patience", help="Give up after so many prompts in a row without success.", metavar="N")
]
PricePrompt = Annotated[
    float | None, typer.Option("--price-prompt", help="US dollars for a million prompt tokens.", metavar="USD")
]
PriceCompletion = Annotated[
    float | None, typer.Option("--price-completion", help="US dollars for a million completion tokens.", metavar="USD")
]
LogLevel = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.", metavar="LEVEL")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: Any) -> None:
    """Write a value to standard output as a person reads JSON."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def settings_from(**flags: Any) -> Settings:
    """Return the settings in force with these flags, none of which are those not given, and log as they say."""
    settings = load_settings(flags)
    configure_logging(settings)
    return settings
