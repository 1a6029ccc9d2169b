"""Options that several commands share, in groups, and the settings made from them.

A command declares a group as one parameter; `expand_groups` replaces that parameter by the options of the group.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import orjson
import typer

from service.cli.terminal_text import safe_json
from service.selfinstruct.recipe import Language
from service.settings import LmKind, Settings, load_settings
from service.telemetry.log_setup import configure_logging


class Page(StrEnum):
    """Whether a run has a page while it works: none, a served one, or one that a browser is opened for as well."""

    NONE = "none"
    SERVED = "served"
    OPENED = "opened"


OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


class TaskChoice(StrEnum):
    """The tasks to write: those after the last one written, those finished from now on, or all."""

    RESUME = "resume"
    NEW = "new"
    ALL = "all"


RecipeOrFile = Annotated[
    str | None,
    typer.Option("--recipe", help="Recipe: self-instruct, alpaca, or a file ending in .toml.", metavar="NAME|FILE"),
]
LanguageOfFilters = Annotated[
    Language | None,
    typer.Option("--language", help="Language of the filters: en, as in the papers, or any; default: the recipe's."),
]
Semantic = Annotated[
    bool | None,
    typer.Option(
        "--semantic", help="Record the nearest task in meaning for each candidate; does not affect decisions."
    ),
]
SemanticThreshold = Annotated[
    float | None,
    typer.Option(
        "--semantic-threshold", help="Reject candidates above this cosine similarity in meaning.", metavar="T"
    ),
]
Target = Annotated[int | None, typer.Option("--target", help="Number of finished tasks to produce.", metavar="N")]
LmApi = Annotated[str | None, typer.Option("--lm-api", help="API to call: chat or completions.", metavar="API")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        help="Calls in flight; default: 4 for the local model, 2000 with lm_batch, else 32.",
        metavar="C",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option("--patience", help="Give up after this many prompts in a row without an accepted task.", metavar="N"),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed for sampling.", metavar="INT")]
LogLevel = Annotated[
    str | None, typer.Option("--log-level", help="Lowest level to log: debug, info, warning or error.", metavar="LEVEL")
]
Output = Annotated[Path | None, typer.Option("--output", help="Output file; default, or -: standard output.")]
Tasks = Annotated[
    TaskChoice | None,
    typer.Option(
        "--tasks",
        help="Tasks to write to a pipe or file: resume (after the last one written, the default), new or all.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """A group of options. Subclasses are dataclasses, and each field is an option as typer declares it."""


@dataclass(frozen=True, slots=True)
class RunOptions(OptionGroup):
    """The name of the run, and the location of its log."""

    broker: Annotated[
        str | None,
        typer.Option("--broker", help="Location of the log: sqlite:DIR or kafka://HOST:PORT,….", metavar="LOG"),
    ] = None
    run: Annotated[str | None, typer.Option("--run", help="Name of the run.", metavar="NAME")] = None


@dataclass(frozen=True, slots=True)
class RecipeOptions(OptionGroup):
    """The recipe of a new run, its seed tasks, its templates and its subject."""

    recipe: RecipeOrFile = None
    language: LanguageOfFilters = None
    form: Annotated[
        str | None,
        typer.Option(
            "--form",
            help="Format of prompts and replies: text, json or auto (json for chat models, else text).",
            metavar="FORM",
        ),
    ] = None
    semantic: Semantic = None
    semantic_threshold: SemanticThreshold = None
    seeds: Annotated[
        Path | None,
        typer.Option(
            "--seeds",
            help="File of seed tasks, JSON Lines or a JSON array; default: the 175 bundled seed tasks.",
            metavar="FILE",
        ),
    ] = None
    templates: Annotated[
        Path | None,
        typer.Option("--templates", help="Folder of prompt templates that replace the bundled ones.", metavar="DIR"),
    ] = None
    about: Annotated[
        str | None,
        typer.Option(
            "--about",
            help="Subject of the tasks: a text, a .txt file, or a .toml file with topics and their shares.",
            metavar="TEXT|FILE",
        ),
    ] = None
    system_prompt: Annotated[
        str | None,
        typer.Option("--system-prompt", help="Text, or a .txt file, that precedes every prompt.", metavar="TEXT|FILE"),
    ] = None


@dataclass(frozen=True, slots=True)
class GoalOptions(OptionGroup):
    """The target and the limits of a run."""

    target: Target = None
    max_prompts: Annotated[
        int | None, typer.Option("--max-prompts", help="Issue at most this many prompts.", metavar="N")
    ] = None
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget", help="Limit on the cost of the run since its beginning, US dollars; 0: no limit.", metavar="USD"
        ),
    ] = None
    max_marginal_cost: Annotated[
        float | None,
        typer.Option(
            "--max-marginal-cost",
            help="Limit on the average cost of the last 1,000 accepted tasks, US dollars; 0: no limit.",
            metavar="USD",
        ),
    ] = None
    rpm: Annotated[
        float | None,
        typer.Option("--rpm", help="Limit on calls per minute, for all processes together; 0: no limit.", metavar="N"),
    ] = None
    tpm: Annotated[
        float | None,
        typer.Option("--tpm", help="Limit on tokens per minute, for all processes together; 0: no limit.", metavar="N"),
    ] = None
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            "--max-in-flight", help="Limit on calls in flight, for all processes together; 0: no limit.", metavar="N"
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ModelOptions(OptionGroup):
    """The language model and its server."""

    lm: Annotated[LmKind | None, typer.Option("--lm", help="Kind of language model.")] = None
    lm_url: Annotated[
        str | None,
        typer.Option(
            "--lm-url",
            help="Base URL of an OpenAI-compatible server; separate several servers of the same model by commas.",
            metavar="URL",
        ),
    ] = None
    model: Annotated[str | None, typer.Option("--model", help="Name of the model on the server.", metavar="NAME")] = (
        None
    )
    model_file: Annotated[
        Path | None, typer.Option("--model-file", help="GGUF file for --lm local.", metavar="FILE")
    ] = None
    lm_api: LmApi = None
    lm_dialect: Annotated[
        str | None, typer.Option("--lm-dialect", help="Kind of server; auto detects it.", metavar="DIALECT")
    ] = None
    lm_api_key_file: Annotated[
        Path | None, typer.Option("--lm-api-key-file", help="File that holds the API key.", metavar="FILE")
    ] = None


@dataclass(frozen=True, slots=True)
class PriceOptions(OptionGroup):
    """The prices of the model's tokens."""

    price_prompt: Annotated[
        float | None, typer.Option("--price-prompt", help="US dollars per million prompt tokens.", metavar="USD")
    ] = None
    price_completion: Annotated[
        float | None,
        typer.Option("--price-completion", help="US dollars per million completion tokens.", metavar="USD"),
    ] = None


@dataclass(frozen=True, slots=True)
class TopicOptions(OptionGroup):
    """Partitions and replication factor of the topics of a run."""

    partitions: Annotated[
        int | None, typer.Option("--partitions", help="Partitions of each work topic.", metavar="N")
    ] = None
    replication: Annotated[
        int | None, typer.Option("--replication", help="Replication factor of each topic.", metavar="N")
    ] = None


@dataclass(frozen=True, slots=True)
class WebOptions(OptionGroup):
    """The address of page and REST API, and who may use them."""

    web_host: Annotated[
        str | None, typer.Option("--web-host", help="Address on which page and REST API are served.", metavar="HOST")
    ] = None
    web_port: Annotated[
        int | None, typer.Option("--web-port", help="Port of page and REST API; 0 for a free port.", metavar="PORT")
    ] = None
    web_tokens: Annotated[
        Path | None,
        typer.Option("--web-tokens", help="File of access tokens, a line NAME:SCOPE,…:TOKEN each.", metavar="FILE"),
    ] = None
    web_webhooks: Annotated[
        Path | None,
        typer.Option(
            "--web-webhooks", help="File of webhooks to which finished tasks are delivered, TOML.", metavar="FILE"
        ),
    ] = None
    web_insecure_no_auth: Annotated[
        bool | None,
        typer.Option("--insecure-no-auth", help="Serve other machines without tokens.", show_default=False),
    ] = None


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer, with the options of each option group as separate parameters."""
    signature = inspect.signature(command, eval_str=True)
    groups = {name: each.annotation for name, each in signature.parameters.items() if _is_group(each.annotation)}

    @wraps(command)
    def expanded(**flags: Any) -> None:
        filled = {
            name: group(**{field.name: flags.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**filled, **flags)

    options = [option for each in signature.parameters.values() for option in _options_of(each)]
    expanded.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    return expanded


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, OptionGroup)


def _options_of(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """Yield the options of a group, or the parameter itself if it is no group.

    They are keyword-only, because a required parameter may follow an optional one.
    """
    kind = inspect.Parameter.KEYWORD_ONLY
    if not _is_group(parameter.annotation):
        yield parameter.replace(kind=kind)
        return
    hints = get_type_hints(parameter.annotation, include_extras=True)
    for field in fields(parameter.annotation):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield inspect.Parameter(field.name, kind, default=default, annotation=hints[field.name])


def values_of(*groups: OptionGroup) -> dict[str, Any]:
    """Return the option values of these groups by option name."""
    return {name: value for group in groups for name, value in asdict(group).items()}


def settings_from(*groups: OptionGroup, **flags: Any) -> Settings:
    """Return the settings for these options, and configure logging; None means that an option was not given."""
    settings = load_settings(values_of(*groups) | flags)
    configure_logging(settings)
    return settings


def print_json(value: Any) -> None:
    """Write a value to standard output as indented JSON; a terminal gets control characters as escapes."""
    printed = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    sys.stdout.write((safe_json(printed) if sys.stdout.isatty() else printed).decode() + "\n")
