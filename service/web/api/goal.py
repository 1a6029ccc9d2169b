"""The goal of a run: its target and limits, read and changed."""

from typing import Annotated, Any

from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from service.messaging.messages import GoalSet
from service.web.keys import RUNS
from service.web.reading import body_of
from service.web.steering import undefined

_MOST = 2**53 - 1
Count = Annotated[int, Meta(ge=0, le=_MOST)]
Target = Annotated[int, Meta(ge=1, le=_MOST)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]


class Goal(Struct, frozen=True, kw_only=True):
    """The target of a run in finished tasks, and its limits; null: no limit. While it is paused, no call begins."""

    target: int
    max_prompts: int | None
    budget_usd: float | None
    max_marginal_cost_usd: float | None
    rpm: float | None
    tpm: float | None
    max_in_flight: int | None
    paused: bool

    @classmethod
    def of(cls, goal: GoalSet) -> "Goal":
        """Return what clients may see of a goal."""
        return cls(**{name: getattr(goal, name) for name in cls.__struct_fields__})


class LimitChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of limits: those that are left out stay as they are, and null or 0 removes one."""

    max_prompts: Count | UnsetType | None = UNSET
    budget_usd: Amount | UnsetType | None = UNSET
    max_marginal_cost_usd: Amount | UnsetType | None = UNSET
    rpm: Amount | UnsetType | None = UNSET
    tpm: Amount | UnsetType | None = UNSET
    max_in_flight: Count | UnsetType | None = UNSET

    def limits(self) -> dict[str, Any]:
        """Return the limits that are given, by their names in a goal."""
        given = {name: getattr(self, name) for name in LimitChange.__struct_fields__}
        return {name: limit or None for name, limit in given.items() if limit is not UNSET}


class GoalChange(LimitChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a goal: what is left out stays as it is, and null or 0 removes a limit."""

    target: Target | UnsetType = UNSET
    paused: bool | UnsetType = UNSET

    def applied_to(self, goal: GoalSet) -> GoalSet:
        """Return the changed goal."""
        given = {"target": self.target, "paused": self.paused}
        return structs.replace(
            goal, **{name: each for name, each in given.items() if each is not UNSET}, **self.limits()
        )


async def show_goal(request: web.Request) -> Goal:
    """Return the goal of a run.

    Raises:
        ProblemError: it has none yet.
    """
    live = await request.app[RUNS].of(request.match_info["run"])
    if live.progress.goal is None:
        raise undefined(live.settings)
    return Goal.of(live.progress.goal)


async def change_goal(request: web.Request) -> Goal:
    """Change the goal of a run, and return the new one. A run that has ended goes on under a new goal."""
    change = await body_of(request, GoalChange)
    live = await request.app[RUNS].of(request.match_info["run"])
    goal = await live.steering.set_goal(change.applied_to, live.progress)
    await live.read(lambda progress: progress.goal == goal)
    return Goal.of(goal)
