"""Writes the records of a new run from what was salvaged of a damaged one: those that are left, and those made again.

Tasks keep their order and are numbered anew without gaps.
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

from anyio import to_thread
from msgspec import structs

from consumers.finish import finished_task
from service.bootstrap.open_embedder import embedder_for
from service.messaging import codec, topics
from service.messaging.broker import Broker, Record
from service.messaging.ids import seq_of
from service.messaging.messages import (
    CandidateVerdict,
    ClassifiedInstruction,
    Decision,
    Embedding,
    FinishedTask,
    Instruction,
    Message,
    Origin,
    PooledTask,
    Prompt,
    TaskInstances,
    subject_of,
)
from service.messaging.topic_reader import Tail
from service.messaging.topics import Topic
from service.pipeline.refilter import send_all
from service.pipeline.salvaged import Salvaged
from service.selfinstruct.semantic import Embedder
from service.selfinstruct.vectors import as_text

M = TypeVar("M", bound=Message)
T = TypeVar("T", ClassifiedInstruction, TaskInstances, FinishedTask)


class SalvagedCopy:
    """Writes the records of the new run, one topic after the other."""

    def __init__(self, source: Broker, run: str, target: Broker, into: str, found: Salvaged) -> None:
        self._source = source
        self._run = run
        self._target = target
        self._into = into
        self._found = found
        self._numbers = {name: number for number, name in enumerate(sorted(found.pool, key=found.pool.__getitem__))}
        self._old_seqs = sorted(found.pool.values())

    async def all(self) -> None:
        """Write everything but the definition."""
        await self.send(self._pool())
        await self.send(self._decisions())
        await self.send(self._prompts())
        await self.send(self._messages(topics.CANDIDATES, Message), topics.PROMPTS)
        recipe = self._found.definition.recipe if self._found.definition is not None else None
        if recipe is not None and recipe.has_classification_step:
            await self.send(self._instructions())
            await self.send(self._classified(), topics.INSTRUCTIONS)
            await self.send(self._instances(), topics.CLASSIFIED)
        else:
            await self.send(self._instances())
        await self.send(self.renumbered_tasks())
        await self.send(_each(self._found.dropped))

    async def send(self, messages: AsyncIterator[Message], inputs: Topic[Message] | None = None) -> None:
        """Write messages; with `inputs`, each names the record of the new run with the same key as its cause."""
        causes = {} if inputs is None else await self._places(inputs)
        await send_all(
            self._target,
            (codec.encode(message, self._into, causes.get(message.key.encode())) async for message in messages),
        )

    async def _places(self, topic: Topic[Message]) -> dict[bytes | None, Record]:
        async with Tail.of(self._target, self._into, [topic]) as tail:
            return {record.key: structs.replace(record, value=None) async for record in tail.to_end()}

    async def _messages(self, topic: Topic[M], kind: type[M]) -> AsyncIterator[M]:
        async with Tail.of(self._source, self._run, [topic]) as tail:
            async for message in tail.messages_to_end():
                if isinstance(message, kind):
                    yield message

    async def _pool(self) -> AsyncIterator[PooledTask]:
        made = await to_thread.run_sync(self._made_pool)
        async for task in _merged(self._messages(topics.POOL, PooledTask), made, _pool_seq):
            if task.id in self._numbers:
                yield structs.replace(task, pool_seq=self._numbers[task.id])

    def _made_pool(self) -> list[PooledTask]:
        """Return the records of tasks that the pool lacks, made again from later ones, with their old numbers."""
        definition = self._found.definition
        embedder = embedder_for(definition.recipe) if definition is not None else None
        return [
            PooledTask(
                pool_seq=task.pool_seq,
                id=task.id,
                origin=Origin.MACHINE,
                instruction=task.instruction,
                provenance=task.provenance,
                embedding=None if embedder is None else _embedded(task.instruction, embedder),
            )
            for task in self._found.spare.values()
        ]

    async def _decisions(self) -> AsyncIterator[Decision]:
        """Yield decisions on tasks that the pool has, and one for each prompt whose decision is lost."""
        async for decision in _merged(self._messages(topics.DECISIONS, Decision), self._made_decisions(), _pool_size):
            verdicts = tuple(each for each in decision.verdicts if each.reason is not None or each.id in self._numbers)
            pool_size = bisect_left(self._old_seqs, decision.pool_size)
            yield structs.replace(decision, verdicts=verdicts, pool_size=pool_size)

    def _made_decisions(self) -> list[Decision]:
        accepted: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._found.machine, key=self._found.pool.__getitem__):
            if name not in self._found.accepted and name.rpartition(".")[0] not in self._found.decided:
                accepted[name.rpartition(".")[0]].append(name)
        definition = self._found.definition
        return [
            Decision(
                prompt_id=prompt,
                prompt_seq=seq,
                recipe=definition.recipe.digest if definition is not None else "",
                verdicts=tuple(CandidateVerdict(id=name, reason=None) for name in names),
                pool_size=max(self._found.pool[name] for name in names) + 1,
                topic=self._found.topics.get(prompt),
            )
            for prompt, names in accepted.items()
            if (seq := seq_of(prompt)) is not None
        ]

    async def _prompts(self) -> AsyncIterator[Prompt]:
        """Yield prompts, without those whose answer is lost but was judged: they would be asked again."""
        settled = self._found.decided | {name.rpartition(".")[0] for name in self._found.machine}
        async for prompt in self._messages(topics.PROMPTS, Prompt):
            if prompt.id in self._found.answered or prompt.id not in settled:
                yield prompt

    async def _instructions(self) -> AsyncIterator[Instruction]:
        async with Tail.of(self._target, self._into, [topics.POOL]) as tail:
            async for task in tail.messages_to_end():
                if isinstance(task, PooledTask) and task.provenance is not None:
                    yield Instruction(
                        id=task.id,
                        pool_seq=task.pool_seq,
                        instruction=task.instruction,
                        provenance=task.provenance,
                    )

    async def _classified(self) -> AsyncIterator[ClassifiedInstruction]:
        async for classified in self._messages(topics.CLASSIFIED, ClassifiedInstruction):
            yield self._renumbered(classified)
        known = set(self._found.classified)
        async for written in self._instances():
            if written.id not in known:
                known.add(written.id)
                yield _classified_again(written)

    async def _instances(self) -> AsyncIterator[TaskInstances]:
        made = self._found.instances.values()
        async for written in _merged(self._messages(topics.INSTANCES, TaskInstances), made, _pool_seq):
            if written.id in self._numbers:
                yield self._renumbered(written)
        async for task in self._messages(topics.TASKS, FinishedTask):
            if task.id not in self._found.written:
                yield self._renumbered(_written_again(task))

    async def renumbered_tasks(self) -> AsyncIterator[FinishedTask]:
        """Yield the finished tasks, each partition in its order, and behind them those made again."""
        tasks = self._found.tasks
        places = {name: place for place, name in enumerate(sorted(tasks, key=tasks.__getitem__))}
        async for task in self._messages(topics.TASKS, FinishedTask):
            yield structs.replace(self._renumbered(task), task_seq=places[task.id])
        numbers = {name: len(tasks) + place for place, name in enumerate(self._found.again)}
        made = self._found.instances.values()
        async for written in _merged(self._messages(topics.INSTANCES, TaskInstances), made, _pool_seq):
            if (number := numbers.pop(written.id, None)) is not None:
                yield finished_task(self._renumbered(written), number)

    def _renumbered(self, message: T) -> T:
        return structs.replace(message, pool_seq=self._numbers[message.id])


def _embedded(text: str, embedder: Embedder) -> Embedding:
    return Embedding(model=embedder.model, vector=as_text(embedder.embed([text])[0]))


def _classified_again(written: TaskInstances) -> ClassifiedInstruction:
    return ClassifiedInstruction(
        **subject_of(written),
        is_classification=written.is_classification,
        failure=written.failure if written.is_classification is None else None,
    )


def _written_again(task: FinishedTask) -> TaskInstances:
    return TaskInstances(**subject_of(task), is_classification=task.is_classification, instances=task.instances)


async def _merged(stream: AsyncIterator[M], made: Iterable[M], order: Callable[[M], int]) -> AsyncIterator[M]:
    """Yield the messages of an ordered stream, with those that were made again at their places."""
    waiting = deque(sorted(made, key=order))
    async for message in stream:
        while waiting and order(waiting[0]) < order(message):
            yield waiting.popleft()
        yield message
    for message in waiting:
        yield message


async def _each(messages: Iterable[Message]) -> AsyncIterator[Message]:
    for message in messages:
        yield message


def _pool_seq(task: PooledTask | TaskInstances) -> int:
    return task.pool_seq


def _pool_size(decision: Decision) -> int:
    return decision.pool_size
