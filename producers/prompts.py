"""`pool` → `prompts`: demonstrations are drawn, a prompt is written, as long as credits, budget and the goal allow."""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack

import anyio
from msgspec import structs

from producers.run_endings import Endings, limits_dollars
from producers.samples import sample_of_instances, sample_of_prompts
from producers.sampling_pool import Demonstration, SamplingPool
from service.errors import DecodeError, NewerVersionError
from service.messaging import codec, topics
from service.messaging.broker import Broker, TransactionalProducer
from service.messaging.dead_letters import DEAD_LETTER_TOPICS
from service.messaging.messages import Ending, Message, Prompt, RunDefined, RunEnded
from service.messaging.topic_reader import Tail
from service.run.credits import affordable_prompts
from service.run.progress import Progress
from service.selfinstruct.asking import ask_for_tasks
from service.selfinstruct.sampling import sample_demonstrations
from service.selfinstruct.tasks import Instance

_FOLLOWED = (topics.CONTROL, topics.POOL, topics.DECISIONS, topics.INSTANCES, topics.TASKS, *DEAD_LETTER_TOPICS)
# Whole completions, most of the log: read only if a limit in dollars needs the cost of the other stages' calls.
_FOLLOWED_FOR_COSTS = (topics.CANDIDATES, topics.CLASSIFIED)


def write_prompt(definition: RunDefined, pool: SamplingPool, seq: int) -> Prompt:
    """Return prompt number `seq`: a function of the run's random seed, that number and the pool as it is known."""
    recipe, templates = definition.recipe, definition.templates
    rng = random.Random(f"{definition.random_seed}/{seq}")  # noqa: S311 - sampling, not secrecy
    only_classification = rng.random() < recipe.classification_prompts
    if only_classification:
        shown = sample_demonstrations(recipe, pool.classification, [], rng)
    else:
        shown = sample_demonstrations(recipe, pool.human, pool.machine, rng)
    asked = ask_for_tasks(
        recipe, templates, [_as_shown(task) for task in shown], only_classification=only_classification
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
    )


def _as_shown(task: Demonstration) -> tuple[str, Instance | None]:
    return task.instruction, task.seed.instances[0] if task.seed is not None else None


class PromptProducer:
    """The single active writer of `prompts`. Its memory is the log: nothing is issued twice after a restart.

    `window` bounds the prompts without a decision. The run is given up after `patience` prompts in a row without an
    acceptance, or with `patience` prompts and tasks among the dead letters, both counted from the start of this
    process; or when a limit in dollars is reached.
    """

    def __init__(self, broker: Broker, run: str, window: int, patience: int) -> None:
        self._broker = broker
        self._run = run
        self._window = window
        self._progress = Progress()
        self._pool = SamplingPool()
        self._endings = Endings(run, patience)
        self._costs: Tail | None = None

    async def run(self, drain: anyio.Event) -> RunEnded | None:
        """Issue prompts until `drain` is set, or the run has come to rest; returns how, unless it was drained.

        Raises:
            DecodeError: a newer version wrote a record that counts and that this one cannot read.
        """
        async with (
            self._broker.transactional_producer(f"seedstream.{self._run}.prompts") as producer,
            Tail.of(self._broker, self._run, _FOLLOWED, complete=True) as tail,
            AsyncExitStack() as stack,
        ):
            await self._recall_prompts()
            await self._catch_up(tail)
            await self._follow_costs_if_needed(stack)
            self._endings.try_again(self._progress)
            while not drain.is_set() and self._progress.ended is None:
                if news := self._next():
                    if not (isinstance(news[0], RunEnded) and await self._read_costs()):
                        await self._send(producer, [await self._with_sample(message) for message in news])
                    continue
                messages = await tail.next()
                for message in messages:
                    self._apply(message)
                await self._follow_costs_if_needed(stack)
                if self._progress.reached and not messages:
                    await self._rest(producer)
        return self._progress.ended

    async def _catch_up(self, tail: Tail) -> None:
        async for message in tail.messages_to_end():
            self._apply(message)

    async def _follow_costs_if_needed(self, stack: AsyncExitStack) -> None:
        """Follow the cost of all calls once the goal has a limit in dollars, which may be set at any time."""
        if self._costs is not None:
            for message in await self._costs.next(0.0):
                self._progress.bill.apply(message)
        elif self._progress.goal is not None and limits_dollars(self._progress.goal):
            self._costs = await stack.enter_async_context(
                Tail.of(self._broker, self._run, _FOLLOWED_FOR_COSTS, complete=True)
            )
            await self._read_costs()
            self._endings.forgive_prices(self._progress)

    async def _read_costs(self) -> bool:
        """Read the cost of calls up to now; returns whether any was new: old figures must not end a run."""
        new = False
        if self._costs is not None:
            async for message in self._costs.messages_to_end():
                self._progress.bill.apply(message)
                new = True
        return new

    async def _recall_prompts(self) -> None:
        """Read the numbers taken, including those of prompts that cannot be read.

        A prompt of a newer version counts as issued, since workers of that version answer it.
        """
        async with Tail.of(self._broker, self._run, [topics.PROMPTS]) as tail:
            async for record in tail.to_end():
                try:
                    self._apply(tail.decode(record))
                except DecodeError as error:
                    tail.skip(record, error)
                    prompt_id = (record.key or b"").decode("utf-8", "replace")
                    self._progress.reserve(prompt_id, issued=isinstance(error, NewerVersionError))

    async def _rest(self, producer: TransactionalProducer) -> None:
        """Write that the target is reached, if finish has not: it was lowered to what was finished already."""
        if self._progress.ended is None:
            await self._send(producer, [RunEnded.target_reached(self._run, self._progress.target)])

    def _apply(self, message: Message) -> None:
        self._progress.apply(message)
        self._pool.apply(message)

    def _next(self) -> Sequence[Message]:
        """Return the messages to write now: prompts, or the end of the run.

        There are no prompts while the pool has been read less far than the decisions.
        """
        if (ended := self._endings.ended(self._progress)) is not None:
            return [ended]
        progress, definition = self._progress, self._progress.defined
        if definition is None or progress.awaits_seeds or progress.pool < progress.pool_promised:
            return []
        count = affordable_prompts(progress, self._window)
        return [write_prompt(definition, self._pool, seq) for seq in progress.free_seqs(count)]

    async def _with_sample(self, message: Message) -> Message:
        """Add an answer of the failed step to the message of a run that got nowhere; leave other messages alone."""
        definition = self._progress.defined
        if not isinstance(message, RunEnded) or message.ending is not Ending.STALLED or definition is None:
            return message
        if self._endings.failed_behind_pool(self._progress):
            told = await sample_of_instances(self._broker, self._run, definition.recipe)
        elif self._endings.failed_before_pool(self._progress):
            told = await sample_of_prompts(self._broker, self._run, definition.recipe)
        else:
            return message
        return structs.replace(message, detail=f"{message.detail}; {told}") if told else message

    async def _send(self, producer: TransactionalProducer, messages: Sequence[Message]) -> None:
        with anyio.CancelScope(shield=True):
            await producer.begin()
            await producer.send([codec.encode(message, self._run) for message in messages])
            await producer.commit()
            for message in messages:
                self._apply(message)
