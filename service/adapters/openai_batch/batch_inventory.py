"""Index of this run's batches on the server: which batch has which question. It is rebuilt from the server's data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from service.adapters.openai_batch.api_client import BatchServer
from service.adapters.openai_batch.api_objects import Batch
from service.adapters.openai_batch.jsonl import Result, read_name, read_result
from service.adapters.openai_batch.pending import PendingQuestion

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(eq=False, slots=True)
class SubmittedBatch:
    """A batch, under way or ended, and the questions that wait for it. `followed`: a task polls it."""

    batch: Batch
    questions: dict[str, PendingQuestion] = field(default_factory=dict)
    followed: bool = False

    @property
    def is_awaited(self) -> bool:
        """Whether any caller still waits for a question of the batch."""
        return any(question.askers for question in self.questions.values())


class BatchInventory:
    """The run's batches, and the batch of each question that has not been answered from it yet.

    `input_files` are the ids of the input files of all batches, those of other runs included: a server may not report
    the run of a batch.
    """

    def __init__(self, server: BatchServer) -> None:
        self._server = server
        self._flights: dict[str, SubmittedBatch] = {}
        self._places: dict[str, SubmittedBatch] = {}
        self.input_files: set[str] = set()

    async def refresh(self, since: float, answer: Callable[[Result], bool]) -> None:
        """Load the run's new batches, those of other processes included, and update the state of the known ones.

        `answer` gets each answer of the model in an ended batch and returns whether a question waited for it; answers
        that no question waited for are indexed.

        Raises:
            EndpointRefusedError: the server rejects the request or has been unavailable for too long.
        """
        listed = await self._server.batches(since)
        self.input_files |= {batch.input_file_id for batch in listed}
        for batch in (batch for batch in listed if batch.run == self._server.options.run):
            known = self._flights.get(batch.id)
            if known is None:
                await self._load(SubmittedBatch(batch), answer)
            elif not known.batch.ended:
                known.batch = batch

    def place(self, name: str) -> SubmittedBatch | None:
        """Return the batch that a question is in, None if no known batch has it."""
        return self._places.get(name)

    def add(self, flight: SubmittedBatch, names: Iterable[str]) -> None:
        """Index a batch and its questions by name."""
        self._flights[flight.batch.id] = flight
        self._places.update(dict.fromkeys(names, flight))

    def forget(self, name: str) -> None:
        """Remove a question from the index: its batch has answered it, or has no answer for it."""
        self._places.pop(name, None)

    async def _load(self, flight: SubmittedBatch, answer: Callable[[Result], bool]) -> None:
        """Read which questions a batch has: all if it is under way, the answered ones if it has ended."""
        batch, names = flight.batch, set[str]()

        def take_result(line: bytes) -> None:
            result = read_result(line)
            if result is not None and result.is_answer and not answer(result):
                names.add(result.custom_id)

        def take_request(line: bytes) -> None:
            name = read_name(line)
            if name is not None:
                names.add(name)

        file_id, take = (batch.output_file_id, take_result) if batch.ended else (batch.input_file_id, take_request)
        if file_id is not None and not await self._server.read(file_id, take):
            logger.warning("lm.batch_unreadable", batch=batch.id, status=batch.status, file=file_id)
        self._flights[batch.id] = flight
        for name in names:
            self._places.setdefault(name, flight)
        logger.info("lm.batch_found", batch=batch.id, status=batch.status, questions=len(names))
