"""The log of a run, read with the product's own broker and codec, during the run or after it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import anyio

from service.adapters.sqlite import SqliteBroker
from service.messaging import topics
from service.messaging.broker import Broker, Isolation, Partition, Record
from service.messaging.messages import (
    Answer,
    ClassifiedInstruction,
    Decision,
    FinishedTask,
    Message,
    Prompt,
    RunDefined,
    TaskInstances,
)
from service.messaging.topic_reader import Tail
from service.selfinstruct.asking import ask_for_instances, ask_whether_classification

M = TypeVar("M", bound=Message)

_STAGES = ("generate", "admit", "classify", "instances", "finish")


@dataclass(slots=True)
class Ledger:
    """All messages of a run by type, each with its record, and the offsets that the stages committed."""

    run: str
    entries: dict[type[Message], list[tuple[Record, Message]]] = field(
        default_factory=lambda: defaultdict(list), repr=False
    )
    committed: dict[str, dict[Partition, int]] = field(default_factory=dict)
    dead_letters: int = 0

    def all(self, kind: type[M]) -> list[M]:
        """Return the messages of a type, in order within each partition."""
        return [message for _, message in self.entries[kind] if isinstance(message, kind)]

    def unread(self, kind: type[M], stage: str) -> Iterator[M]:
        """Yield the messages of a type after the committed offset of the stage."""
        offsets = self.committed[stage]
        for record, message in self.entries[kind]:
            if isinstance(message, kind) and record.offset >= offsets.get(record.partition, 0):
                yield message

    @property
    def definition(self) -> RunDefined:
        return self.all(RunDefined)[0]

    @property
    def threshold(self) -> float:
        return self.definition.recipe.filters.rouge_threshold

    @property
    def tasks(self) -> list[FinishedTask]:
        return self.all(FinishedTask)

    @property
    def candidates(self) -> dict[str, str]:
        """Return the instruction of each candidate by its id."""
        return {
            f"{answer.prompt_id}.{each.position}": each.instruction
            for answer in self.all(Answer)
            for each in answer.candidates
        }

    @property
    def accepted(self) -> list[str]:
        """Return the ids of accepted candidates in the order of the decisions."""
        return [each.id for decision in self.all(Decision) for each in decision.verdicts if each.reason is None]

    @property
    def pending(self) -> set[str]:
        """Return the ids of accepted instructions that are neither finished nor dropped."""
        dropped = {message.id for message in self.all(TaskInstances) if message.rejection is not None}
        return set(self.accepted) - {task.id for task in self.tasks} - dropped

    @property
    def offsets(self) -> list[tuple[Partition, int]]:
        """Return the place of every record. It is equal if and only if nothing was written in between."""
        return [(record.partition, record.offset) for entries in self.entries.values() for record, _ in entries]

    def completed_prompts(self) -> list[str]:
        """Return the SHA-256 of the prompt text of each completion on the log. There is none before the definition."""
        if not self.all(RunDefined):
            assert not any(self.all(kind) for kind in (Answer, ClassifiedInstruction, TaskInstances))
            return []
        return [hashlib.sha256(text.encode()).hexdigest() for text in self._completed_texts()]

    def _completed_texts(self) -> Iterator[str]:
        texts = {prompt.id: prompt.text for prompt in self.all(Prompt)}
        yield from (texts[answer.prompt_id] for answer in self.all(Answer) if answer.prompt_id in texts)
        recipe, templates = self.definition.recipe, self.definition.templates
        for task in self.all(ClassifiedInstruction):
            if task.call is not None:
                topic = task.provenance.topic
                yield ask_whether_classification(recipe, templates, task.instruction, topic).text
        for written in self.all(TaskInstances):
            if written.call is not None:
                yield ask_for_instances(
                    recipe,
                    templates,
                    written.instruction,
                    is_classification=written.is_classification is True,
                    topic=written.provenance.topic,
                ).text


def read_ledger(folder: Path, run: str = "default") -> Ledger:
    """Read the log of a run in a folder, while a process writes it or afterwards."""

    async def read() -> Ledger:
        async with SqliteBroker.open(folder / "runs" / f"{run}.sqlite3", read_only=True) as broker:
            return await ledger_of(broker, run)

    return anyio.run(read)


async def ledger_of(broker: Broker, run: str) -> Ledger:
    """Read the log of a run, while processes write it or afterwards.

    Offsets come first: what follows from an input before a committed offset is then on the log that is read.
    """
    ledger = Ledger(run)
    for stage in _STAGES:
        ledger.committed[stage] = await _committed(broker, run, stage)
    async with Tail.of(broker, run, topics.ALL) as tail:
        async for record in tail.to_end():
            message = tail.decode(record)
            ledger.entries[type(message)].append((record, message))
        for name in (topic.dead_letters_of(run) for topic in topics.ALL):
            for number in range(await broker.partitions(name)):
                ledger.dead_letters += await broker.end_offset(Partition(name, number), Isolation.READ_COMMITTED)
    return ledger


async def _committed(broker: Broker, run: str, stage: str) -> dict[Partition, int]:
    offsets: dict[Partition, int] = {}
    for topic in topics.ALL:
        for number in range(await broker.partitions(topic.of(run))):
            partition = Partition(topic.of(run), number)
            committed = await broker.committed(f"seedstream.{run}.{stage}", partition)
            if committed is not None:
                offsets[partition] = committed.offset
    return offsets
