"""Questions that have been asked and not answered yet."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from service.adapters.openai_batch.jsonl import Result, custom_id
from service.adapters.openai_batch.outcomes import NoResult

Outcome = Result | NoResult


@dataclass(eq=False, slots=True)
class PendingQuestion:
    """One request and the number of callers (`askers`) that wait for it; equal concurrent requests are one question.

    `body` builds the JSON body of `size` bytes on demand, so that a question that waits for hours is in memory once,
    not twice. One of the callers that read the outcome has to pay for it.
    """

    name: str
    body: Callable[[], bytes] = field(repr=False)
    size: int
    askers: int = 0
    outcome: Outcome | None = None
    _settled: anyio.Event = field(default_factory=anyio.Event)
    _paid: bool = False

    def settle(self, outcome: Outcome) -> None:
        """Set the outcome and wake all waiting callers."""
        self.outcome = outcome
        self._settled.set()

    async def answered(self) -> Outcome:
        while self.outcome is None:
            await self._settled.wait()
        return self.outcome

    def pay(self) -> bool:
        """Return True for the first reader only, so that the cost is counted once."""
        is_first = not self._paid
        self._paid = True
        return is_first


class PendingQuestions:
    """The questions that callers wait for. A question is unplaced while it is in no batch."""

    def __init__(self) -> None:
        self.asked = 0
        self._waiting: dict[str, PendingQuestion] = {}
        self._unplaced: dict[str, PendingQuestion] = {}
        self._news = anyio.Event()

    @contextmanager
    def ask(self, body: Callable[[], bytes]) -> Iterator[PendingQuestion]:
        """Register a caller for a question until the block is left; equal requests share a question.

        A question is dropped when its last caller leaves.
        """
        question = self._question(body)
        question.askers += 1
        try:
            yield question
        finally:
            question.askers -= 1
            if not question.askers:
                self._forget(question)

    @property
    def unplaced(self) -> int:
        """Number of questions that are in no batch yet."""
        return len(self._unplaced)

    async def until_unplaced(self) -> None:
        """Wait until there is an unplaced question."""
        while not self._unplaced:
            self._news = anyio.Event()
            await self._news.wait()

    def waiting(self, name: str) -> PendingQuestion | None:
        """Return the question with this name, None if no caller waits for it."""
        return self._waiting.get(name)

    def take(self, most: int, most_bytes: int, envelope_bytes: int) -> list[PendingQuestion]:
        """Take unplaced questions, oldest first, up to `most` and `most_bytes`, but at least one if there is any."""
        taken: list[PendingQuestion] = []
        size = 0
        for question in list(self._unplaced.values()):
            size += question.size + envelope_bytes
            if taken and (len(taken) >= most or size > most_bytes):
                break
            taken.append(self._unplaced.pop(question.name))
        return taken

    def put_back(self, questions: Iterable[PendingQuestion]) -> None:
        """Mark questions as unplaced again, without those that no caller waits for any more."""
        for question in questions:
            if self._waiting.get(question.name) is question:
                self._unplaced[question.name] = question
        self._tell()

    def settle(self, question: PendingQuestion, outcome: Outcome) -> None:
        """Set the outcome of a question and stop tracking it."""
        self._forget(question)
        question.settle(outcome)

    def settle_all(self, outcome: Outcome) -> None:
        """Set the same outcome for every question."""
        for question in list(self._waiting.values()):
            self.settle(question, outcome)

    def _question(self, body: Callable[[], bytes]) -> PendingQuestion:
        """Return the question with this body; create it unless a caller waits for it already."""
        request = body()
        name = custom_id(request)
        if name in self._waiting:
            return self._waiting[name]
        question = self._waiting[name] = self._unplaced[name] = PendingQuestion(name, body, len(request))
        self.asked += 1
        self._tell()
        return question

    def _forget(self, question: PendingQuestion) -> None:
        for questions in (self._waiting, self._unplaced):
            if questions.get(question.name) is question:
                del questions[question.name]

    def _tell(self) -> None:
        self._news.set()
