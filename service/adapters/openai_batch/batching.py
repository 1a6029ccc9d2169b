"""Batching: wait for questions to accumulate, find those that are in a batch already, and send the others."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import structlog
from anyio.abc import TaskGroup

from service.adapters.openai_batch.api_client import BatchServer
from service.adapters.openai_batch.api_objects import file_name
from service.adapters.openai_batch.batch_inventory import BatchInventory, SubmittedBatch
from service.adapters.openai_batch.cleanup import delete_orphans
from service.adapters.openai_batch.jsonl import Result, custom_id, envelope_bytes, request_line
from service.adapters.openai_batch.pending import PendingQuestion, PendingQuestions
from service.adapters.openai_batch.polling import Polling
from service.adapters.openai_batch.upload_form import Upload
from service.lm.errors import EndpointRefusedError

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

_DAY_S = 86_400.0
# Limit on the waits of `linger_s`, so that a trickle of new questions does not hold up the others.
_MOST_LINGERS = 12


class Batching:
    """Gathers questions into batches."""

    def __init__(
        self, server: BatchServer, questions: PendingQuestions, tasks: TaskGroup, clock: Callable[[], float]
    ) -> None:
        self._server = server
        self._options = server.options
        self._questions = questions
        self._memory = BatchInventory(server)
        self._following = Polling(server, self._memory, questions, tasks)
        self._clock = clock
        self._envelope_bytes = envelope_bytes(self._options.path)
        self._swept = False

    async def run(self) -> None:
        """Gather questions and place them in batches until cancelled."""
        while True:
            await self._questions.until_unplaced()
            await self._linger()
            await self._following.until_room()
            try:
                await self._place()
            except EndpointRefusedError as refusal:
                self._following.refuse(refusal)

    async def _linger(self) -> None:
        """Wait until no new question has come for `linger_s` or a batch is full, for at most `_MOST_LINGERS` waits."""
        for _ in range(_MOST_LINGERS):
            asked = self._questions.asked
            await self._server.sleep(self._options.linger_s)
            if self._questions.asked == asked or self._questions.unplaced >= self._following.most:
                return

    async def _place(self) -> None:
        """Find the batch of each question; questions without one go into a new batch."""
        now = self._clock()
        since = now - self._options.history_days * _DAY_S
        await self._memory.refresh(since, self._answer)
        if not self._swept:
            await delete_orphans(self._server, self._memory.input_files, since, now - self._options.orphan_age_s)
            self._swept = True
        questions = self._questions.take(self._following.most, self._options.max_bytes, self._envelope_bytes)
        places: defaultdict[SubmittedBatch | None, list[PendingQuestion]] = defaultdict(list)
        for question in questions:
            places[self._memory.place(question.name)].append(question)
        new = places.pop(None, [])
        for flight, found in places.items():
            if flight is not None:
                self._following.join(flight, found)
        if new:
            await self._send(new)

    def _answer(self, result: Result) -> bool:
        """Settle a question with a result of an earlier batch; return whether a caller waited for it."""
        question = self._questions.waiting(result.custom_id)
        if question is None:
            return False
        self._questions.settle(question, result)
        return True

    async def _send(self, questions: Sequence[PendingQuestion]) -> None:
        """Upload questions and create a new batch from them."""
        names = [question.name for question in questions]
        size = sum(question.size + self._envelope_bytes for question in questions)
        upload = Upload(
            file_name(self._options.run, custom_id("".join(names).encode())), size, lambda: self._lines(questions)
        )
        batch = await self._server.create(await self._server.upload(upload))
        logger.info("lm.batch_sent", batch=batch.id, questions=len(questions), bytes=size)
        flight = SubmittedBatch(batch)
        self._memory.add(flight, names)
        self._following.follow(flight, questions)

    def _lines(self, questions: Sequence[PendingQuestion]) -> Iterator[bytes]:
        return (request_line(question.name, self._options.path, question.body()) for question in questions)
