"""What the server holds of this run: which batch has which question. The server remembers; this is read from it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from service.adapters.openai_batch.api_client import BatchServer
from service.adapters.openai_batch.api_objects import Batch
from service.adapters.openai_batch.jsonl import Result, read_name, read_result
from service.adapters.openai_batch.pending import Question

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Flight:
    """A batch on its way, or at its end, and the questions that wait for it. `followed`: somebody looks at it."""

    batch: Batch
    questions: dict[str, Question] = field(default_factory=dict)
    followed: bool = False

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for an answer from it."""
        return any(question.askers for question in self.questions.values())


class Memory:
    """The run's batches and where each question is, as far as it has not been answered from there.

    `input_files` are those that batches were made of, those of others too: a server may not say whose a batch is.
    """

    def __init__(self, server: BatchServer) -> None:
        self._server = server
        self._flights: dict[str, Flight] = {}
        self._places: dict[str, Flight] = {}
        self.input_files: set[str] = set()

    async def refresh(self, since: float, answer: Callable[[Result], bool]) -> None:
        """Take note of batches that are new, whoever created them.

        What the model answered is offered to `answer`, which says whether it was waited for; the rest is remembered.

        Raises:
            EndpointRefusedError: the server will not say, or has been away for too long.
        """
        listed = await self._server.batches(since)
        self.input_files |= {batch.input_file_id for batch in listed}
        for batch in (batch for batch in listed if batch.run == self._server.options.run):
            known = self._flights.get(batch.id)
            if known is None:
                await self._load(Flight(batch), answer)
            elif not known.batch.ended:
                known.batch = batch

    def place(self, name: str) -> Flight | None:
        """Return the batch that a question is in."""
        return self._places.get(name)

    def add(self, flight: Flight, names: Iterable[str]) -> None:
        """Remember a batch and the questions in it."""
        self._flights[flight.batch.id] = flight
        self._places.update(dict.fromkeys(names, flight))

    def forget(self, name: str) -> None:
        """Forget where a question was: it has been answered from there, or has no answer there."""
        self._places.pop(name, None)

    async def _load(self, flight: Flight, answer: Callable[[Result], bool]) -> None:
        """Read which questions are in a batch: all where it is on its way, the answered ones where it has ended."""
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
