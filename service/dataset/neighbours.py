"""The nearest tasks and the mean score of every accepted task, which the original stores with the task."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import orjson
from anyio import to_thread

from service.dataset.export import Chunks
from service.messaging.messages import Message, Origin, PooledTask, check_next
from service.selfinstruct.similarity import FullScan, SimilarityIndex

# The number that the original stores with each accepted instruction.
NEAREST = 10


@dataclass(frozen=True, slots=True)
class _Task:
    id: str
    instruction: str
    is_human: bool


async def as_neighbours(pool: AsyncIterator[Message], workers: int, report: Callable[[float], None]) -> Chunks:
    """Yield a JSON line for each machine task of a pool, in pool order, with its nearest tasks among those before it.

    Every task is compared with all tasks before it, so the work grows with the square of the pool size.

    Args:
        pool: the records of the topic `pool`.
        workers: the number of threads; -1 for one per core.
        report: called after each block with the share of the work that is done, 0 … 1.

    Raises:
        BrokerError: the numbers of the pool's tasks have a gap.
    """
    tasks = [task async for task in _tasks(pool)]
    index = SimilarityIndex(1.0)  # used for surveys only, which have no threshold
    await to_thread.run_sync(_add_all, index, tasks)
    blocks = index.full_scans(NEAREST, workers)
    done = 0
    while (full_scans := await to_thread.run_sync(next, blocks, None)) is not None:
        yield _lines(tasks, done, full_scans)
        done += len(full_scans)
        report((done / len(tasks)) ** 2)


async def _tasks(pool: AsyncIterator[Message]) -> AsyncIterator[_Task]:
    expected = 0
    async for task in pool:
        if isinstance(task, PooledTask):
            check_next(task, expected)
            yield _Task(task.id, task.instruction, task.origin is Origin.HUMAN)
            expected += 1


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
