"""Runs the whole pipeline in one process, and shuts it down in order.

All tasks run in nested task groups. Shutdown leaves the groups in stream order: the producer and the stages that call
the model finish calls in flight, admit judges the remaining candidates, and finish counts the remaining tasks, up to
the target.
"""

from collections.abc import Awaitable, Callable

import anyio

from producers.prompts import PromptProducer
from service.bootstrap.asked_model import AskedModels
from service.lm.errors import EndpointRefusedError
from service.messaging.broker import Broker
from service.messaging.interrupted_polls import InterruptedPolls
from service.messaging.messages import GoalSet, Message, RunDefined, RunEnded
from service.pipeline.fleet_leases import fleet_limits
from service.pipeline.limits import Limits
from service.pipeline.stages import admitting, calling_stage, finishing
from service.run.progress import Progress
from service.run.progress_reader import ProgressReader
from service.runtime.stateless_worker import StatelessWorker

Observer = Callable[[Message], Awaitable[None]]
Work = Callable[[anyio.Event], Awaitable[None]]


class Pipeline:
    """All stages of one run in this process."""

    def __init__(self, broker: Broker, definition: RunDefined, models: AskedModels, limits: Limits) -> None:
        self.progress = Progress()
        self.models = models
        self._broker = broker
        self._run = definition.run
        self._limits = limits
        self._stop = anyio.Event()
        self._ended: RunEnded | None = None
        self._refusal: EndpointRefusedError | None = None
        self._workers: list[Work] = [
            StatelessWorker(
                calling_stage(step, definition, models.of(step)),
                broker,
                self._run,
                models.dispatcher(step).slots,
                limits.time_limits,
            ).run
            for step in definition.recipe.steps
        ]
        self._admit = admitting(broker, definition, checkpoints=limits.checkpoints)
        self._finish = finishing(broker, definition, lambda: self.progress.target, checkpoints=limits.checkpoints)

    def stop(self) -> None:
        """Request a graceful stop: no new calls; those in flight are finished and recorded."""
        self._stop.set()

    async def run(self, observe: Observer, caught_up: Callable[[Progress], None] = lambda _: None) -> RunEnded | None:
        """Work until the run ends or is stopped; return its end, or `None` if it was stopped.

        `observe` is called with every message written since the start, in the order of its topic. `caught_up` is called
        once before that, with the progress read from the log.

        Raises:
            EndpointRefusedError: the model refuses every call; all paid completions are on the log.
        """
        async with ProgressReader.open(self._broker, self._run, self._limits.checkpoints) as reader:
            self.progress = reader.progress
            await reader.catch_up()
            caught_up(self.progress)
            self._restrict(self.progress.goal)
            done = anyio.Event()
            async with InterruptedPolls.until(done) as polls, anyio.create_task_group() as following:
                following.start_soon(self._follow, reader, observe, done, polls)
                await self._run_stages()
                done.set()
            await reader.save()
        if self._refusal is not None:
            raise self._refusal
        return self._ended

    async def _run_stages(self) -> None:
        stop_finish, stop_admit, ready = anyio.Event(), anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as finishing:
            finishing.start_soon(self._finish.run, stop_finish, anyio.Event())
            async with anyio.create_task_group() as admitting:
                admitting.start_soon(self._admit.run, stop_admit, ready)
                await ready.wait()
                async with anyio.create_task_group() as calling:
                    calling.start_soon(self._produce)
                    for work in self._workers:
                        calling.start_soon(self._call, work)
                stop_admit.set()
            stop_finish.set()

    async def _produce(self) -> None:
        limits = self._limits
        producer = PromptProducer(self._broker, self._run, limits.window, limits.patience, limits.checkpoints)
        self._ended = await producer.run(self._stop)
        self._stop.set()

    async def _call(self, work: Work) -> None:
        try:
            await work(self._stop)
        except EndpointRefusedError as refusal:
            self._refusal = refusal
            self._stop.set()

    async def _follow(
        self, reader: ProgressReader, observe: Observer, done: anyio.Event, polls: InterruptedPolls
    ) -> None:
        while not done.is_set():
            await self._observe(await reader.next(polls), observe)
        async for messages in reader.batches_to_end():
            await self._observe(messages, observe)

    async def _observe(self, messages: list[Message], observe: Observer) -> None:
        for message in messages:
            if isinstance(message, GoalSet):
                self._restrict(message)
            await observe(message)

    def _restrict(self, goal: GoalSet | None) -> None:
        """Apply the limits of a goal to the calls of each model."""
        for asked in self.models.each:
            asked.dispatcher.restrict(limits=fleet_limits(goal, asked.steps))
