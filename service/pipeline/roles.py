"""Runs one or several roles of a run in a process, alongside other processes.

Roles exchange records only, through the log. Each role follows the `control` topic, works until the run has ended, and
continues when a new goal is set. A role with a single active process has a leader election; the other candidates stand
by.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from service.bootstrap.asked_model import AskedModel, AskedModels, warn_of_other_api
from service.bootstrap.open_embedder import check_embedder
from service.errors import BrokerError, DecodeError
from service.lm.dispatch import Dispatcher
from service.lm.dispatch.fleet_share import NOTHING, FleetLimits, Leases
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, RunDefined
from service.pipeline.fleet_leases import LeaseHolder, fleet_limits
from service.pipeline.limits import Limits
from service.pipeline.role import CALLING, STEPS, Role
from service.pipeline.stages import admitting, calling_stage, finishing, hints_on, screening
from service.run.control import RunControl
from service.runtime.leader_election import LeaderElection
from service.runtime.stateless_worker import StatelessWorker
from service.runtime.transactional_worker import TransactionalWorker

if TYPE_CHECKING:
    from service.pool.hints import Hints
    from service.pool.screen_worker import Screening

log = structlog.get_logger()


@dataclass(slots=True)
class RoleState:
    """The state of a role, for health checks: at work, or standing by for another process."""

    ready: bool = False
    election: LeaderElection | None = None
    worker: TransactionalWorker[Any] | None = None
    hints: "Hints | None" = None
    screening: "Screening | None" = None

    @property
    def active(self) -> bool:
        """Whether this process does the work of the role: as the elected leader, or as one of many."""
        return self.election.won if self.election is not None else self.ready

    @property
    def standing_by(self) -> bool:
        """Whether this process takes part in the leader election and another process leads."""
        return self.election is not None and self.election.settled and not self.election.won


@dataclass(slots=True)
class Worked:
    """The roles of this process, and the dispatchers of those that call a model."""

    roles: dict[Role, RoleState]
    dispatchers: Mapping[Role, Dispatcher] = field(default_factory=dict)

    @property
    def each_dispatcher(self) -> list[Dispatcher]:
        """Each dispatcher once."""
        return list({id(dispatcher): dispatcher for dispatcher in self.dispatchers.values()}.values())


class RoleRunner:
    """Runs the given roles of a run in this process until stopped."""

    def __init__(
        self, broker: Broker, run: str, roles: Sequence[Role], models: AskedModels | None, limits: Limits
    ) -> None:
        calling = [role for role in roles if role in CALLING] if models is not None else []
        self.worked = Worked(
            {role: RoleState() for role in roles},
            {role: models.dispatcher(STEPS[role]) for role in calling} if models is not None else {},
        )
        self._broker = broker
        self._run = run
        self._models = models
        self._limits = limits
        self.control = RunControl(broker, run)
        self._stop = anyio.Event()
        self._unreadable: ExceptionGroup[DecodeError] | None = None

    def stop(self) -> None:
        """Request a graceful stop: no new calls; those in flight are finished and recorded; then groups are left."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            EndpointRefusedError: the model refuses every call; all paid completions are on the log.
            FencedError: another process has taken over a role; restart to join again.
            OutcomeUnknownError: the outcome of a commit is unknown; a restart rebuilds the state from the log.
            ExceptionGroup: of `DecodeError`: a newer version wrote a record that this one cannot read; calls in flight
                have been finished and recorded.
        """
        async with anyio.create_task_group() as following:
            following.start_soon(self._stop_if_unreadable, self.control.follow)
            for asked in self._models.each if self._models is not None else ():
                following.start_soon(self._obey_limits, asked)
            if (definition := await self._definition()) is not None:
                async with anyio.create_task_group() as working:
                    for role, state in self.worked.roles.items():
                        working.start_soon(self._work, role, state, definition)
            following.cancel_scope.cancel()
        if self._unreadable is not None:
            raise self._unreadable

    async def _stop_if_unreadable(self, work: Callable[..., Coroutine[Any, Any, None]], *given: object) -> None:
        """Do some work; stop all roles in order if it meets a record that this version can neither read nor skip."""
        try:
            await work(*given)
        except* DecodeError as errors:
            self._unreadable = self._unreadable or errors
            self.stop()

    async def _definition(self) -> RunDefined | None:
        """Wait for the run's definition; return `None` if this process is stopped first."""
        if self.control.definition is None:
            log.info("run.awaited", run=self._run)
        await self._until(lambda: self.control.definition is not None)
        definition = self.control.definition
        if definition is None or self._stop.is_set():
            return None
        if self._models is not None:
            warn_of_other_api(self._models, definition.recipe)
        return definition

    async def _obey_limits(self, asked: AskedModel) -> None:
        """Apply the goal's limits for the fleet to the calls of a model; hold leases once the goal has a limit."""
        dispatcher = asked.dispatcher

        def take(leases: Leases) -> None:
            dispatcher.restrict(leases=leases)
            self.control.reconsider()

        holder = LeaseHolder(self._broker, self._run, take, place=asked.place)
        async with anyio.create_task_group() as holding:
            held = False
            while True:
                goal = self.control.goal
                limits = fleet_limits(goal, asked.steps)
                if limits != FleetLimits() and not held:
                    held = True
                    dispatcher.restrict(leases=NOTHING)
                    holding.start_soon(holder.hold)
                dispatcher.restrict(limits=limits)
                self.control.reconsider()
                await self.control.until(self._has_other_goal_than(goal))

    def _has_other_goal_than(self, goal: GoalSet | None) -> Callable[[], bool]:
        return lambda: self.control.goal is not goal

    async def _work(self, role: Role, state: RoleState, definition: RunDefined) -> None:
        await self._stop_if_unreadable(self._do, role, state, definition)
        if not self._stop.is_set():
            raise BrokerError(f"{role}: ended although nobody stopped it; start again")

    async def _do(self, role: Role, state: RoleState, definition: RunDefined) -> None:
        if role in CALLING:
            await self._call(role, state, definition)
            return
        if role is Role.SCREEN:
            await self._screen(state, definition)
            return
        state.election = LeaderElection(self._broker, self._run, role)
        async with _beside(state.election.stand):
            await self._work_alone(role, state, definition, state.election)

    async def _work_alone(self, role: Role, state: RoleState, definition: RunDefined, election: LeaderElection) -> None:
        """Do the work of a role that has a single active process."""
        match role:
            case Role.PRODUCER:
                await self._produce(state, election)
            case Role.ADMIT:
                await self._admit(state, definition, election)
            case _:
                finisher = finishing(
                    self._broker, definition, lambda: self.control.target, election, self._limits.checkpoints
                )
                await self._commit(finisher, state)

    async def _admit(self, state: RoleState, definition: RunDefined, election: LeaderElection) -> None:
        from service.pool.hint_reader import follow_hints

        await anyio.to_thread.run_sync(check_embedder, definition.recipe)
        state.hints = hints_on(definition)
        async with _beside(follow_hints, self._broker, self._run, state.hints):
            admitter = admitting(self._broker, definition, election, state.hints, self._limits.checkpoints)
            await self._commit(admitter, state)

    async def _screen(self, state: RoleState, definition: RunDefined) -> None:
        ready, state.screening = anyio.Event(), screening(self._broker, definition)
        async with _beside(_note, ready, state):
            log.info("role.active", role=Role.SCREEN)
            await state.screening.run(self._stop, ready)

    async def _commit(self, worker: TransactionalWorker[Any], state: RoleState) -> None:
        ready, state.worker = anyio.Event(), worker
        async with _beside(_note, ready, state):
            await worker.run(self._stop, ready)

    async def _produce(self, state: RoleState, election: LeaderElection) -> None:
        """Issue prompts while this process leads the role and the run has not ended; follow the log meanwhile."""
        from producers.prompts import PromptProducer

        limits = self._limits
        while not self._stop.is_set():
            turn, goals = anyio.Event(), list[GoalSet | None]()
            producer = PromptProducer(self._broker, self._run, limits.window, limits.patience, limits.checkpoints)
            async with (
                _beside(self._take_turn, state, election, turn, goals),
                _beside(_stop_when_deposed, election),
            ):
                await producer.run(self._stop, turn)
            # The producer may know of the end before this process has read it from `control`.
            await self._until(self._ended_since(goals[-1] if goals else None))

    async def _take_turn(
        self, state: RoleState, election: LeaderElection, turn: anyio.Event, goals: list[GoalSet | None]
    ) -> None:
        """Set `turn` once this process leads the role and the run has a goal to work for, which is added to `goals`."""
        await self._until_elected(election)
        state.ready = True
        await self._until(lambda: not self.control.at_rest)
        goals.append(self.control.goal)
        turn.set()

    def _ended_since(self, goal: GoalSet | None) -> Callable[[], bool]:
        return lambda: self.control.at_rest or self.control.goal is not goal

    async def _call(self, role: Role, state: RoleState, definition: RunDefined) -> None:
        """Be a member of a stage's group while the run has work and this process holds a share of the limits.

        A process without a share must leave the group, since the records of its partitions would wait.
        """
        if self._models is None:
            raise ValueError(f"role {role} needs a language model")
        step = STEPS[role]
        if step not in definition.recipe.steps:
            log.info("role.idle", role=role, reason=f"recipe {definition.recipe.name} has no such step")
            await self._stop.wait()
            return
        stage, dispatcher = calling_stage(step, definition, self._models.of(step)), self._models.dispatcher(step)
        share = dispatcher.balancer.share
        while not self._stop.is_set():
            state.ready = True
            await self._until(lambda: share.has_part and not self.control.at_rest)
            drain = anyio.Event()
            async with _beside(self._drain_once, lambda: self.control.at_rest or not share.has_part, drain):
                await StatelessWorker(stage, self._broker, self._run, dispatcher.slots, self._limits.time_limits).run(
                    drain
                )

    async def _drain_once(self, condition: Callable[[], bool], drain: anyio.Event) -> None:
        await self._until(condition)
        drain.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on `control` holds or this process is asked to stop."""
        async with anyio.create_task_group() as race:

            async def stopped() -> None:
                await self._stop.wait()
                race.cancel_scope.cancel()

            race.start_soon(stopped)
            await self.control.until(condition)
            race.cancel_scope.cancel()

    async def _until_elected(self, election: LeaderElection) -> None:
        while not self._stop.is_set() and not await election.wait(1.0):
            pass


@asynccontextmanager
async def _beside(work: Callable[..., Coroutine[Any, Any, None]], *given: object) -> AsyncIterator[None]:
    """Run a coroutine in the background for the duration of the block."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, *given)
        yield
        tasks.cancel_scope.cancel()


async def _note(ready: anyio.Event, state: RoleState) -> None:
    await ready.wait()
    state.ready = True


async def _stop_when_deposed(election: LeaderElection) -> None:
    while True:
        election.check()
        await anyio.sleep(1.0)
