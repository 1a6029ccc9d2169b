"""The whole pipeline in one process: what is wired to what, and how it starts and stops.

Every task has a parent below. Leaving the blocks is the shutdown, in the order of the stream: the producer and the
stages that call the model finish what is in flight, admit judges what they left, finish takes what it may.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from consumers.admit import Admit
from consumers.classify import Classify
from consumers.finish import Finish
from consumers.generate import Generate
from consumers.instances import InstanceWriting, WriteInstances
from producers.prompts import PromptProducer
from service.broker import Broker
from service.committer import Committer
from service.errors import EndpointRefusedError
from service.lm import LanguageModel
from service.messages import Message, RunDefined, RunEnded
from service.progress import Progress
from service.replay import Tail
from service.slots import Slots
from service.topics import ALL
from service.worker import Worker

Observer = Callable[[Message], Awaitable[None]]
Work = Callable[[anyio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once, and for how long without success or at a stop."""

    calls_in_flight: int
    patience: int
    drain_s: float

    @property
    def window(self) -> int:
        """Prompts without a decision: enough to keep all calls busy; one by one if that is what is asked for."""
        return 1 if self.calls_in_flight == 1 else 2 * self.calls_in_flight


class Pipeline:
    """All stages of one run in this process."""

    def __init__(self, broker: Broker, definition: RunDefined, model: LanguageModel, limits: Limits) -> None:
        self.progress = Progress()
        self.slots = Slots(limits.calls_in_flight)
        self._broker = broker
        self._run = definition.run
        self._limits = limits
        self._stop = anyio.Event()
        self._ended: RunEnded | None = None
        self._refusal: EndpointRefusedError | None = None
        self._workers = self._llm_stages(definition, model)
        self._admit = Committer(Admit(definition.recipe), broker, self._run)
        self._finish = Committer(Finish(self._run, lambda: self.progress.target), broker, self._run)

    def stop(self) -> None:
        """Ask for an orderly stop: no new calls, those in flight are finished and recorded."""
        self._stop.set()

    async def run(self, observe: Observer) -> RunEnded | None:
        """Run until the run comes to rest or is stopped; returns how it ended, unless it was stopped.

        `observe` sees every message that is new since the start, in the order of its topic.

        Raises:
            EndpointRefusedError: the model refuses every call; all that was paid for is on the log.
        """
        async with Tail.of(self._broker, self._run, ALL) as tail:
            async for message in tail.messages_to_end():
                self.progress.apply(message)
            done = anyio.Event()
            async with anyio.create_task_group() as following:
                following.start_soon(self._follow, tail, observe, done)
                await self._run_stages()
                done.set()
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
        producer = PromptProducer(self._broker, self._run, self._limits.window, self._limits.patience)
        self._ended = await producer.run(self._stop)
        self._stop.set()

    async def _call(self, work: Work) -> None:
        try:
            await work(self._stop)
        except EndpointRefusedError as refusal:
            self._refusal = refusal
            self._stop.set()

    async def _follow(self, tail: Tail, observe: Observer, done: anyio.Event) -> None:
        while not done.is_set():
            await self._observe(await tail.next(), observe)
        async for message in tail.messages_to_end():
            await self._observe([message], observe)

    async def _observe(self, messages: list[Message], observe: Observer) -> None:
        for message in messages:
            self.progress.apply(message)
            await observe(message)

    def _llm_stages(self, definition: RunDefined, model: LanguageModel) -> list[Work]:
        recipe, templates = definition.recipe, definition.templates
        drain_s = self._limits.drain_s
        generate = Generate(model, recipe)
        workers: list[Work] = [Worker(generate, self._broker, self._run, self.slots, drain_s).run]
        if (
            recipe.classification_sampling is None
            or recipe.generation_instances_sampling is None
            or recipe.classification_instances_sampling is None
        ):
            return workers
        classify = Classify(model, templates.classification, recipe.classification_sampling)
        instances = WriteInstances(
            model,
            generation=InstanceWriting(templates.instances_generation, recipe.generation_instances_sampling),
            classification=InstanceWriting(
                templates.instances_classification, recipe.classification_instances_sampling
            ),
            max_instances=recipe.max_instances,
            random_seed=definition.random_seed,
        )
        return [
            *workers,
            Worker(classify, self._broker, self._run, self.slots, drain_s).run,
            Worker(instances, self._broker, self._run, self.slots, drain_s).run,
        ]
