"""Defines a run that a request asks for. Nothing in a request names a file or a server."""

from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from anyio import to_thread
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from service.dataset.run_warnings import run_warnings
from service.dataset.subjects import subject_in
from service.errors import RunMismatchError, RunNotFoundError
from service.messaging.messages import GoalSet
from service.run.definition import AskedRun
from service.run.goals import asked_goal, begin, look
from service.selfinstruct.recipe import Language, RecipeName
from service.selfinstruct.subject import Subject
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings
from service.web.api.goal import Goal, LimitChange, Target
from service.web.api.seeds import NewSeed, seed_tasks
from service.web.commands import goal_command, work_command
from service.web.keys import RUNS, SETTINGS
from service.web.problems import ProblemError
from service.web.reading import body_of
from service.web.refusals import NOT_BLANK, TOPIC_NAME, WHOLE_RUN_NAME
from service.web.steering import open_to_write

_ABOUT = Annotated[str, Meta(pattern=NOT_BLANK, max_length=4_000)]
_SYSTEM = Annotated[str, Meta(pattern=NOT_BLANK, max_length=20_000)]
_RUN = Annotated[str, Meta(pattern=WHOLE_RUN_NAME, max_length=63)]
_OF_SETTINGS = ("recipe", "language", "form", "lm_api", "seed")


class NewTopic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A topic of the subject; shares are relative to their sum."""

    name: Annotated[str, Meta(pattern=TOPIC_NAME, max_length=100)]
    share: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    about: _ABOUT | None = None
    system_prompt: _SYSTEM | None = None


class NewRun(LimitChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run to define. Without a `target` it is 100, and there are no limits but those given.

    What else is left out is as in the settings of the service.
    `about`, `system_prompt` and `topics` are the subject of its tasks, `seed` the random seed.
    """

    run: _RUN
    target: Target | UnsetType = UNSET
    recipe: Literal["self-instruct", "alpaca"] | None = None
    language: Literal["en", "any"] | None = None
    form: Literal["auto", "text", "json"] | None = None
    lm_api: Literal["chat", "completions"] | None = None
    seed: Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)] | None = None
    about: _ABOUT | None = None
    system_prompt: _SYSTEM | None = None
    topics: Annotated[tuple[NewTopic, ...], Meta(max_length=100)] = ()
    seeds: Annotated[tuple[NewSeed, ...], Meta(min_length=1, max_length=500)] | None = None


class DefinedRun(Struct, frozen=True, kw_only=True):
    """A run that was defined: its goal, warnings about its seeds and subject, and the command that works on it."""

    run: str
    goal: Goal
    warnings: tuple[str, ...]
    command: str


class _RequestedRun(AskedRun):
    """A run whose subject and seeds are those of a request."""

    def __init__(self, settings: Settings, asked: NewRun) -> None:
        super().__init__(settings)
        self._asked = asked

    @cached_property
    def seeds(self) -> tuple[SeedTask, ...]:
        return super().seeds if self._asked.seeds is None else seed_tasks(self._asked.seeds)

    @cached_property
    def subject(self) -> Subject:
        given = {name: getattr(self._asked, name) for name in ("about", "system_prompt")}
        fields = {name: text for name, text in given.items() if text is not None}
        topics = [msgspec.to_builtins(each) for each in self._asked.topics]
        return subject_in("request", fields | {"topics": topics}) if fields or topics else super().subject


async def define_run(request: web.Request) -> DefinedRun:
    """Define a run that does not exist yet; nobody works on it until a command does.

    Raises:
        ProblemError: the run exists, or its topics are missing.
        ConfigurationError: the request describes no run that could work.
    """
    asked = await body_of(request, NewRun)
    runs = request.app[RUNS]
    requested = _RequestedRun(_settings_for(asked, request.app[SETTINGS]), asked)
    settings = requested.settings
    if asked.run in await runs.names() and await _is_defined(request, asked.run):
        raise _exists(settings)
    definition, seeds = await to_thread.run_sync(lambda: requested.new)
    goal = _goal(asked, settings)
    await _define(requested, goal)
    return DefinedRun(
        run=asked.run,
        goal=Goal.of(goal),
        warnings=tuple(run_warnings(definition.recipe, definition.templates, seeds)),
        command=work_command(settings),
    )


def _settings_for(asked: NewRun, served: Settings) -> Settings:
    kinds: dict[str, type[StrEnum]] = {"recipe": RecipeName, "language": Language}
    given = {name: getattr(asked, name) for name in _OF_SETTINGS if getattr(asked, name) is not None}
    given |= {name: kind(given[name]) for name, kind in kinds.items() if name in given}
    return served.model_copy(update=given | {"run": asked.run})


def _goal(asked: NewRun, settings: Settings) -> GoalSet:
    """Return the goal of a new run; target and limits in the settings of this process are those of another run."""
    target: int = Settings.model_fields["target"].default if asked.target is UNSET else asked.target
    goal = GoalSet(run=settings.run, target=target, price=asked_goal(None, settings).price)
    return structs.replace(goal, **asked.limits())


async def _is_defined(request: web.Request, run: str) -> bool:
    """Return whether a run that has a log is defined too; on Kafka, topics are created before that."""
    try:
        live = await request.app[RUNS].of(run)
    except RunNotFoundError:
        return False
    return live.progress.defined is not None


async def _define(requested: AskedRun, goal: GoalSet) -> None:
    try:
        async with open_to_write(requested.settings) as broker:
            progress = await look(broker, requested)
            if progress.defined is not None:
                raise _exists(requested.settings)
            await begin(broker, requested, progress, goal)
    except RunMismatchError as error:
        raise _exists(requested.settings) from error


def _exists(settings: Settings) -> ProblemError:
    return ProblemError(
        HTTPStatus.CONFLICT,
        f"run {settings.run!r} exists already; PATCH its goal to continue it, or choose another name",
        command=goal_command(settings),
    )
