"""The finished tasks that `run` writes to a pipe or a file, from where its last output ended.

The output is a consumer group of the run's tasks, with the offsets of written tasks committed every second. A process
that is killed therefore leaves no task out: the next one writes those of the last second again.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from service.cli.options import TaskChoice
from service.cli.signals import say
from service.cli.task_lines import StandardOutput, write_tasks
from service.client import Share, Tasks, ends_of
from service.errors import OutputClosedError
from service.messaging.broker import Broker, Committed, Partition
from service.messaging.topics import TASKS

_GRACE_S = 5.0


class RunOutput:
    """The output of one process. `is_closed`: its reader has closed it."""

    def __init__(self, broker: Broker, run: str) -> None:
        self.is_closed = False
        self._broker = broker
        self._share = Share(f"seedstream.{run}.output", TASKS.of(run), auto_commit=True, warns_of_start=False)
        self._hurry = anyio.Event()
        self._written = anyio.Event()

    async def begin_at(self, choice: TaskChoice, finished: int) -> None:
        """Choose the first task to write; `finished` is the number of tasks on the log."""
        ends = await ends_of(self._broker, self._share.topic)
        if choice is TaskChoice.RESUME:
            if finished and not any((await self._committed(ends)).values()):
                say(
                    f"no output of this run is remembered, so its {finished:,} finished tasks are written first; "
                    "`--tasks new` leaves them out"
                )
            return
        offsets = {each: Committed(end if choice is TaskChoice.NEW else 0) for each, end in ends.items()}
        async with self._broker.transactional_producer(self._share.group) as producer:
            await producer.begin()
            await producer.send_offsets(self._share.group, offsets)
            await producer.commit()

    async def write_rest(self) -> None:
        """Write the tasks that are on the log and not written yet.

        Raises:
            OutputClosedError: the reader has closed the output.
        """
        ends = await ends_of(self._broker, self._share.topic)
        written = await self._committed(ends)
        if all((written[each] or 0) >= end for each, end in ends.items()):
            return
        async with self.following(lambda: None):
            pass
        if self.is_closed:
            raise OutputClosedError("the reader of the tasks has closed the pipe")

    @asynccontextmanager
    async def following(self, on_closed: Callable[[], None]) -> AsyncIterator[None]:
        """Write tasks as they are finished inside the block, and the rest at its end; an error leaves the rest out.

        `on_closed` is called if the reader closes the output.
        """
        output = StandardOutput()
        async with (
            Tasks.shared(self._broker, self._share) as tasks,
            anyio.create_task_group() as writing,
        ):
            writing.start_soon(self._write, tasks, output, on_closed)
            writing.start_soon(self._watch, tasks, output, on_closed)
            yield
            tasks.end_at(await ends_of(self._broker, self._share.topic))
            await self._wait_for_rest()
            writing.cancel_scope.cancel()

    def hurry(self) -> None:
        """Give a reader who is slow a few seconds only, once the block has ended: the next process goes on there."""
        self._hurry.set()

    async def _committed(self, ends: dict[Partition, int]) -> dict[Partition, int | None]:
        found = {each: await self._broker.committed(self._share.group, each) for each in ends}
        return {each: None if committed is None else committed.offset for each, committed in found.items()}

    async def _write(self, tasks: Tasks, output: StandardOutput, on_closed: Callable[[], None]) -> None:
        try:
            await write_tasks(tasks, output)
        except OutputClosedError:
            self._close(on_closed)
        self._written.set()

    async def _watch(self, tasks: Tasks, output: StandardOutput, on_closed: Callable[[], None]) -> None:
        try:
            await output.watch()
        except OutputClosedError:
            tasks.stop()
            self._close(on_closed)

    def _close(self, on_closed: Callable[[], None]) -> None:
        if not self.is_closed:
            self.is_closed = True
            on_closed()

    async def _wait_for_rest(self) -> None:
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._give_up_late, waiting.cancel_scope)
            await self._written.wait()
            waiting.cancel_scope.cancel()

    async def _give_up_late(self, waiting: anyio.CancelScope) -> None:
        await self._hurry.wait()
        await anyio.sleep(_GRACE_S)
        waiting.cancel()
