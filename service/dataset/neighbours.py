"""The nearest tasks and the mean score of every accepted task, which the original stores with the task."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import orjson
from anyio import to_thread

from service.dataset.export import Chunks
from service.messaging.messages import Message, Origin, PooledTask, RunDefined, check_next
from service.selfinstruct.recipe import Language
from service.selfinstruct.similarity import TOKENIZERS, FullScan, SimilarityIndex

# The number that the original stores with each accepted instruction.
NEAREST = 10


@dataclass(frozen=True, slots=True)
class _Task:
    id: str
    instruction: str
    is_human: bool


async def as_neighbours(messages: AsyncIterator[Message], workers: int, report: Callable[[float], None]) -> Chunks:
    """Yield a JSON line for each machine task of a pool, in pool order, with its nearest tasks among those before it.

    Every task is compared with all tasks before it, so the work grows with the square of the pool size.

    Args:
        messages: the records of the topics `control` and `pool`; the run's definition names the language of its words.
        workers: the number of threads; -1 for one per core.
        report: called after each block with the share of the work that is done, 0 … 1.

    Raises:
        BrokerError: the numbers of the pool's tasks have a gap.
    """
    tasks, language = await _read(messages)
    index = SimilarityIndex(1.0, tokenizer=TOKENIZERS[language])  # used for surveys only, which have no threshold
    await to_thread.run_sync(_add_all, index, tasks)
    blocks = index.full_scans(NEAREST, workers)
    done = 0
    while (full_scans := await to_thread.run_sync(next, blocks, None)) is not None:
        yield _lines(tasks, done, full_scans)
        done += len(full_scans)
        report((done / len(tasks)) ** 2)


async def _read(messages: AsyncIterator[Message]) -> tuple[list[_Task], Language]:
    tasks: list[_Task] = []
    language = Language.EN
    async for message in messages:
        if isinstance(message, PooledTask):
            check_next(message, len(tasks))
            tasks.append(_Task(message.id, message.instruction, message.origin is Origin.HUMAN))
        elif isinstance(message, RunDefined):
            language = message.recipe.filters.language
    return tasks, language


def _add_all(index: SimilarityIndex, tasks: Iterable[_Task]) -> None:
    for task in tasks:
        index.add(task.instruction)


def _lines(tasks: list[_Task], start: int, full_scans: list[FullScan]) -> bytes:
    rows = [
        {
            "id": tasks[place].id,
            "instruction": tasks[place].instruction,
            "most_similar": {tasks[match.position].instruction: match.score for match in full_scan.matches},
            "avg_similarity_score": full_scan.mean,
        }
        for place, full_scan in enumerate(full_scans, start)
        if not tasks[place].is_human
    ]
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)
