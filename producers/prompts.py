"""`pool` → `prompts`: demonstrations are drawn, a prompt is written, as long as credits, budget and the goal allow."""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack

import anyio
from msgspec import structs

from producers.memory import ProducerMemory, Readers
from producers.run_endings import Endings, limits_dollars
from producers.samples import sample_of_instances, sample_of_prompts
from producers.sampling_pool import Demonstration, SamplingPool
from producers.topic_draw import TopicDraw
from service.checkpoints import NO_CHECKPOINTS, Checkpoints
from service.messaging import codec
from service.messaging.broker import Broker, TransactionalProducer
from service.messaging.messages import Ending, Message, Prompt, RunDefined, RunEnded
from service.run.credits import affordable_prompts
from service.run.progress import Progress
from service.selfinstruct.asking import ask_for_tasks
from service.selfinstruct.sampling import sample_demonstrations
from service.selfinstruct.tasks import Instance

# Prompts of one transaction. More would hold up the event loop for more than some 5 ms.
_MAX_AT_ONCE = 128


def write_prompt(definition: RunDefined, pool: SamplingPool, seq: int, topic: str | None = None) -> Prompt:
    """Return prompt number `seq`: a function of the run's random seed, that number, its topic and the known pool."""
    recipe, templates = definition.recipe, definition.templates
    rng = random.Random(f"{definition.random_seed}/{seq}")  # noqa: S311 - sampling, not secrecy
    only_classification = rng.random() < recipe.classification_prompts
    if only_classification:
        shown = sample_demonstrations(recipe, pool.classification, [], rng)
    else:
        shown = sample_demonstrations(recipe, pool.human, pool.machine, rng)
    asked = ask_for_tasks(
        recipe, templates, [_as_shown(task) for task in shown], only_classification=only_classification, topic=topic
    )
    return Prompt(
        id=f"p{seq}",
        seq=seq,
        text=asked.text,
        system=asked.system or None,
        form=recipe.form,
        demonstrations=tuple(task.id for task in shown),
        depth=1 + max(task.depth for task in shown),
        recipe=recipe.digest,
        templates=templates.digest,
        topic=topic,
    )


def _as_shown(task: Demonstration) -> tuple[str, Instance | None]:
    return task.instruction, task.seed.instances[0] if task.seed is not None else None


class PromptProducer:
    """The single active writer of `prompts`. Its memory is the log: nothing is issued twice after a restart.

    `window` bounds the prompts without a decision. The run is given up after `patience` prompts in a row without an
    acceptance, or with `patience` prompts and tasks among the dead letters, both counted from the start of this
    process; or when a limit in dollars is reached.
    """

    def __init__(
        self, broker: Broker, run: str, window: int, patience: int, checkpoints: Checkpoints = NO_CHECKPOINTS
    ) -> None:
        self._broker = broker
        self._run = run
        self._window = window
        self._topics = TopicDraw(patience)
        self._endings = Endings(run, patience)
        self._checkpoints = checkpoints

    async def run(self, drain: anyio.Event, turn: anyio.Event | None = None) -> RunEnded | None:
        """Issue prompts until `drain` is set, or the run has come to rest; returns how, unless it was drained.

        With a `turn`, the producer stands by until that is set: it follows the log, and only its end is left to read.

        Raises:
            DecodeError: a newer version wrote a record that counts and that this one cannot read.
        """
        async with AsyncExitStack() as stack:
            readers = await stack.enter_async_context(Readers.of(self._broker, self._run))
            memory = ProducerMemory(readers, self._checkpoints)
            await memory.rebuild()
            while turn is not None and not (turn.is_set() or drain.is_set()):
                await memory.follow()
            if not drain.is_set():
                name = f"seedstream.{self._run}.prompts"
                producer = await stack.enter_async_context(self._broker.transactional_producer(name))
                await memory.catch_up()
                await self._work(memory, producer, drain)
            await memory.save()
        return None if drain.is_set() and turn is not None and not turn.is_set() else memory.progress.ended

    async def _work(self, memory: ProducerMemory, producer: TransactionalProducer, drain: anyio.Event) -> None:
        progress = memory.progress
        await memory.close_prompts_if_unneeded()
        await self._follow_costs_if_needed(memory)
        self._endings.try_again(progress)
        self._topics.try_again(progress)
        while not drain.is_set() and progress.ended is None:
            if news := self._next(memory):
                if not (isinstance(news[0], RunEnded) and await memory.read_costs()):
                    await self._send(memory, producer, [await self._with_sample(progress, message) for message in news])
                continue
            messages = await memory.next()
            await self._follow_costs_if_needed(memory)
            if progress.reached and not messages:
                await self._rest(memory, producer)

    async def _follow_costs_if_needed(self, memory: ProducerMemory) -> None:
        """Follow the cost of all calls once the goal has a limit in dollars, which may be set at any time."""
        goal = memory.progress.goal
        if not memory.follows_costs and goal is not None and limits_dollars(goal):
            await memory.follow_costs()
            self._endings.forgive_prices(memory.progress)

    async def _rest(self, memory: ProducerMemory, producer: TransactionalProducer) -> None:
        """Write that the target is reached, if finish has not: it was lowered to what was finished already."""
        if memory.progress.ended is None:
            await self._send(memory, producer, [RunEnded.target_reached(self._run, memory.progress.target)])

    def _next(self, memory: ProducerMemory) -> Sequence[Message]:
        """Return the messages to write now: prompts, or the end of the run.

        There are no prompts while the pool has been read less far than the decisions.
        """
        progress, definition = memory.progress, memory.progress.defined
        self._topics.set_aside_fruitless(progress)
        if (ended := self._endings.ended(progress)) is not None:
            return [ended]
        if definition is None or progress.paused or progress.awaits_seeds or progress.pool < progress.pool_promised:
            return []
        if self._window == 1 and self._topics.waits(progress):
            return []
        count = min(affordable_prompts(progress, self._window), _MAX_AT_ONCE)
        topics = self._topics.draw(progress, count)
        seqs = progress.free_seqs(len(topics))
        return [write_prompt(definition, memory.pool, seq, topic) for seq, topic in zip(seqs, topics, strict=True)]

    async def _with_sample(self, progress: Progress, message: Message) -> Message:
        """Add an answer of the failed step to the message of a run that got nowhere; leave other messages alone."""
        definition = progress.defined
        if not isinstance(message, RunEnded) or message.ending is not Ending.STALLED or definition is None:
            return message
        if self._endings.failed_behind_pool(progress):
            told = await sample_of_instances(self._broker, self._run, definition.recipe)
        elif self._endings.failed_before_pool(progress):
            told = await sample_of_prompts(self._broker, self._run, definition.recipe, progress.rejected)
        else:
            return message
        return structs.replace(message, detail=f"{message.detail}; {told}") if told else message

    async def _send(self, memory: ProducerMemory, producer: TransactionalProducer, messages: Sequence[Message]) -> None:
        with anyio.CancelScope(shield=True):
            await producer.begin()
            await producer.send([codec.encode(message, self._run) for message in messages])
            await producer.commit()
            memory.remember(messages)
