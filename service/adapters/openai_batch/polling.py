"""Polling of batches, and distribution of their results once they have ended."""

from collections.abc import Iterable, Mapping
from itertools import count

import anyio
import structlog
from anyio.abc import TaskGroup

from service.adapters.openai_batch.api_client import BatchServer
from service.adapters.openai_batch.batch_inventory import BatchInventory, SubmittedBatch
from service.adapters.openai_batch.jsonl import Result, read_name, read_result
from service.adapters.openai_batch.outcomes import (
    NoResult,
    is_crowded,
    without_result,
    words_of,
    wrong_line,
    wrong_lines,
)
from service.adapters.openai_batch.pending import PendingQuestion, PendingQuestions
from service.lm.backoff import Backoff
from service.lm.errors import EndpointRefusedError

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

_FIRST_LOOK_S = 2.0
_LATER_LOOKS = 1.5


class Polling:
    """Polls the batches that callers wait for, and settles their questions.

    `most` is the maximum number of questions in a batch. It is lower than `max_requests` after the server had no room
    for a batch, and grows again with each completed one.
    """

    def __init__(
        self, server: BatchServer, memory: BatchInventory, questions: PendingQuestions, tasks: TaskGroup
    ) -> None:
        self.most = server.options.max_requests
        self._server = server
        self._memory = memory
        self._questions = questions
        self._tasks = tasks
        self._under_way = 0
        self._room = anyio.Event()
        self._room.set()
        self._looks = Backoff(base_s=_FIRST_LOOK_S, factor=_LATER_LOOKS, cap_s=server.options.poll_s)

    def join(self, flight: SubmittedBatch, questions: Iterable[PendingQuestion]) -> None:
        """Answer questions from a batch found on the server: now if it has ended, otherwise when it ends."""
        if flight.batch.ended:
            self._tasks.start_soon(self._recall, flight, {question.name: question for question in questions})
        else:
            self.follow(flight, questions)

    def follow(self, flight: SubmittedBatch, questions: Iterable[PendingQuestion]) -> None:
        """Poll the batch of these questions in a task, unless one does so already, and settle them when it ends."""
        flight.questions |= {question.name: question for question in questions}
        if not flight.followed:
            flight.followed = True
            self._tasks.start_soon(self._follow, flight)

    async def until_room(self) -> None:
        """Wait while the server has no room for another batch; there is room once one of ours has ended."""
        await self._room.wait()

    def refuse(self, refusal: EndpointRefusedError) -> None:
        """Settle every question with this refusal. Batches stay on the server, where a later call finds them."""
        self._questions.settle_all(NoResult(str(refusal), refused=refusal.refused))

    async def _follow(self, flight: SubmittedBatch) -> None:
        self._under_way += 1
        try:
            await self._watch(flight)
        except EndpointRefusedError as refusal:
            self.refuse(refusal)
        finally:
            flight.followed = False
            self._under_way -= 1
            self._room.set()
        if flight.batch.ended:
            await self._end(flight)

    async def _watch(self, flight: SubmittedBatch) -> None:
        """Poll a batch until it has ended or no caller waits for it."""
        for look in count():
            if flight.batch.ended or not flight.is_awaited:
                return
            await self._server.sleep(self._looks.ceiling_s(look))
            flight.batch = await self._server.batch(flight.batch.id)

    async def _end(self, flight: SubmittedBatch) -> None:
        batch, waiting = flight.batch, flight.questions
        flight.questions = {}
        logger.info("lm.batch_ended", batch=batch.id, status=batch.status, questions=len(waiting))
        try:
            if is_crowded(batch) and self._may_fit_later(len(waiting)):
                self._put_back(waiting)
            else:
                await self._hand_out(flight, waiting)
        except EndpointRefusedError as refusal:
            self.refuse(refusal)

    def _may_fit_later(self, questions: int) -> bool:
        """Tell whether questions that the server has no room for can be asked later, or after lowering `most`."""
        if self._under_way:
            self._room = anyio.Event()
            return True
        self.most = max(1, questions // 2)
        logger.warning("lm.batch_too_large", questions=questions, most=self.most)
        return questions > 1

    async def _hand_out(self, flight: SubmittedBatch, waiting: dict[str, PendingQuestion]) -> None:
        """Settle each question with its result, or with the verdict on why it has none."""
        batch = flight.batch
        if batch.status == "completed":
            self.most = min(self._server.options.max_requests, self.most + self.most // 4 + 1)
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None and waiting:
                await self._read_results(file_id, waiting)
        wrong = await self._wrong_lines(flight) if batch.wrong and waiting else {}
        verdict = without_result(batch, self._server.transport.shown(words_of(batch.wrong)), spares_some=bool(wrong))
        for name, question in waiting.items():
            self._settle(question, wrong.get(name, verdict))

    async def _recall(self, flight: SubmittedBatch, waiting: dict[str, PendingQuestion]) -> None:
        """Answer questions from a batch that ended before they were asked; put the unanswered ones back."""
        file_id = flight.batch.output_file_id
        try:
            if file_id is not None:
                await self._server.read(file_id, lambda line: self._take(line, waiting))
        except EndpointRefusedError as refusal:
            self.refuse(refusal)  # the batch stays in the index: a repeated question is answered from it
            return
        self._put_back(waiting)

    async def _read_results(self, file_id: str, waiting: dict[str, PendingQuestion]) -> None:
        """Settle the questions that a file answers; if the file does not exist, try once more after `poll_s`."""
        found = await self._server.read(file_id, lambda line: self._take(line, waiting))
        if not found:
            await self._server.sleep(self._looks.cap_s)
            await self._server.read(file_id, lambda line: self._take(line, waiting))

    async def _wrong_lines(self, flight: SubmittedBatch) -> dict[str, NoResult]:
        """Return the verdict on each question whose line is wrong; empty if every line of the batch is."""
        wrong = wrong_lines(flight.batch)
        if not wrong:
            return {}
        numbers: dict[str | None, int] = {}
        await self._server.read(
            flight.batch.input_file_id, lambda line: numbers.setdefault(read_name(line), len(numbers) + 1)
        )
        if len(wrong) >= len(numbers):
            return {}
        shown = self._server.transport.shown
        return {
            name: wrong_line(flight.batch, shown(words_of([wrong[number]])))
            for name, number in numbers.items()
            if name is not None and number in wrong
        }

    def _take(self, line: bytes, waiting: dict[str, PendingQuestion]) -> None:
        result = read_result(line)
        question = waiting.pop(result.custom_id, None) if result is not None else None
        if result is not None and question is not None:
            self._settle(question, result)

    def _settle(self, question: PendingQuestion, outcome: Result | NoResult) -> None:
        self._memory.forget(question.name)
        self._questions.settle(question, outcome)

    def _put_back(self, waiting: Mapping[str, PendingQuestion]) -> None:
        for name in waiting:
            self._memory.forget(name)
        self._questions.put_back(waiting.values())
