"""Leases of the rate limits of a fleet, assigned over the log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker
from service.lm.dispatch.fleet_share import FleetLimits, Leases
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, StageLimits
from service.messaging.topics import specs
from service.pipeline.fleet_leases import LeaseHolder, fleet_limits
from service.selfinstruct.steps import Step
from tests.lm.dispatch.endpoints import until

pytestmark = pytest.mark.anyio

RUN = "leased"
LEASES = 3 * 5 + 5  # the dead letters' leases: of five topics that are shared, and of five that are not


@asynccontextmanager
async def log(folder: Path) -> AsyncIterator[Broker]:
    async with SqliteBroker.open(folder / "leases.sqlite3") as broker:
        await broker.create_topics(specs(RUN, 3))
        yield broker


class Process:
    """A process of the fleet, reduced to its leases."""

    def __init__(self, broker: Broker, settled_after_s: float = 0.0, place: str = "") -> None:
        self.told: list[Leases] = []
        self.scope = anyio.CancelScope()
        self._holder = LeaseHolder(broker, RUN, self.told.append, settled_after_s, place)

    @property
    def owned(self) -> frozenset[int]:
        return frozenset(self.told[-1].owned) if self.told else frozenset()

    async def run(self) -> None:
        with self.scope:
            await self._holder.hold()


async def test_a_single_process_owns_all_leases_once_they_are_settled(tmp_path: Path) -> None:
    async with log(tmp_path) as broker, anyio.create_task_group() as tasks:
        process = Process(broker)
        tasks.start_soon(process.run)
        await until(lambda: len(process.owned) == LEASES)
        assert process.told[0] == Leases(frozenset(), LEASES)
        tasks.cancel_scope.cancel()


async def test_processes_share_a_limit_exactly_also_after_a_death(tmp_path: Path) -> None:
    async with log(tmp_path) as broker, anyio.create_task_group() as tasks:
        fleet = [Process(broker) for _ in range(4)]
        for process in fleet:
            tasks.start_soon(process.run)
        await until(lambda: all(len(process.owned) in (LEASES // 4, LEASES // 4 + 1) for process in fleet))
        assert sum(process.told[-1].units(50) for process in fleet) == 50
        fleet[0].scope.cancel()
        await until(lambda: all(len(process.owned) in (LEASES // 3, LEASES // 3 + 1) for process in fleet[1:]))
        assert sum(process.told[-1].units(50) for process in fleet[1:]) == 50
        tasks.cancel_scope.cancel()


async def test_new_leases_need_to_settle_and_lost_ones_end_at_once(tmp_path: Path) -> None:
    async with log(tmp_path) as broker, anyio.create_task_group() as tasks:
        first = Process(broker)
        tasks.start_soon(first.run)
        await until(lambda: len(first.owned) == LEASES)
        second = Process(broker, settled_after_s=3600.0)
        tasks.start_soon(second.run)
        await until(lambda: len(first.owned) == (LEASES + 1) // 2)
        assert second.owned == frozenset()
        tasks.cancel_scope.cancel()


def test_the_limits_are_those_of_the_goal() -> None:
    assert fleet_limits(None) == FleetLimits()
    goal = GoalSet(run=RUN, target=1, max_in_flight=64, rpm=600.0, tpm=1e6)
    assert fleet_limits(goal) == FleetLimits(64, 600.0, 1e6)


def test_a_limit_of_a_stage_takes_the_place_of_that_of_the_run() -> None:
    stages = {"instances": StageLimits(rpm=60.0, max_in_flight=0)}
    goal = GoalSet(run=RUN, target=1, max_in_flight=64, rpm=600.0, tpm=1e6, stages=stages)
    assert fleet_limits(goal, [Step.INSTRUCTIONS, Step.CLASSIFICATION]) == FleetLimits(64, 600.0, 1e6)
    assert fleet_limits(goal, [Step.INSTANCES]) == FleetLimits(None, 60.0, 1e6)


async def test_each_model_has_leases_of_its_own(tmp_path: Path) -> None:
    """Two processes ask two models: each has all leases on its own, and half of those on the run's."""
    async with log(tmp_path) as broker, anyio.create_task_group() as tasks:
        own = [Process(broker, place=place) for place in ("one", "other")]
        shared = [Process(broker) for _ in range(2)]
        for process in (*own, *shared):
            tasks.start_soon(process.run)
        await until(lambda: all(len(process.owned) == LEASES for process in own))
        await until(lambda: all(len(process.owned) == LEASES // 2 for process in shared))
        tasks.cancel_scope.cancel()
