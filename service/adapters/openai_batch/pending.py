"""What was asked and has not been answered yet."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from service.adapters.openai_batch.jsonl import Result, custom_id
from service.adapters.openai_batch.outcomes import Verdict

Outcome = Result | Verdict


@dataclass(eq=False, slots=True)
class Question:
    """One request, and who waits for its answer: the same request, made twice at once, is one question.

    `body` writes the JSON of `size` bytes that asks it: what waits for hours is not kept in memory twice. Of those who
    read the outcome, one has to pay for it.
    """

    name: str
    body: Callable[[], bytes] = field(repr=False)
    size: int
    askers: int = 0
    outcome: Outcome | None = None
    _settled: anyio.Event = field(default_factory=anyio.Event)
    _paid: bool = False

    def settle(self, outcome: Outcome) -> None:
        """Say what became of it."""
        self.outcome = outcome
        self._settled.set()

    async def answered(self) -> Outcome:
        """Wait for what becomes of it."""
        while self.outcome is None:
            await self._settled.wait()
        return self.outcome

    def pay(self) -> bool:
        """Tell whether this reader is the first: the cost is counted once."""
        is_first = not self._paid
        self._paid = True
        return is_first


class Questions:
    """The questions that somebody waits for; those without a place are in no batch yet."""

    def __init__(self) -> None:
        self.asked = 0
        self._waiting: dict[str, Question] = {}
        self._unplaced: dict[str, Question] = {}
        self._news = anyio.Event()

    @contextmanager
    def ask(self, body: Callable[[], bytes]) -> Iterator[Question]:
        """Have a question for as long as the block lasts; one that nobody waits for any more is forgotten."""
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
        """How many questions are in no batch yet."""
        return len(self._unplaced)

    async def until_unplaced(self) -> None:
        """Wait until there is a question without a place."""
        while not self._unplaced:
            self._news = anyio.Event()
            await self._news.wait()

    def waiting(self, name: str) -> Question | None:
        """Return the question of that name, if somebody waits for it."""
        return self._waiting.get(name)

    def take(self, most: int, most_bytes: int, envelope_bytes: int) -> list[Question]:
        """Return questions without a place, the oldest first, as many as fit; they count as placed."""
        taken: list[Question] = []
        size = 0
        for question in list(self._unplaced.values()):
            size += question.size + envelope_bytes
            if taken and (len(taken) >= most or size > most_bytes):
                break
            taken.append(self._unplaced.pop(question.name))
        return taken

    def put_back(self, questions: Iterable[Question]) -> None:
        """Let questions that somebody still waits for be without a place again."""
        for question in questions:
            if self._waiting.get(question.name) is question:
                self._unplaced[question.name] = question
        self._tell()

    def settle(self, question: Question, outcome: Outcome) -> None:
        """Say what became of a question."""
        self._forget(question)
        question.settle(outcome)

    def settle_all(self, outcome: Outcome) -> None:
        """Say the same of every question."""
        for question in list(self._waiting.values()):
            self.settle(question, outcome)

    def _question(self, body: Callable[[], bytes]) -> Question:
        """Return the question with that body, a new one unless somebody waits for it already."""
        request = body()
        name = custom_id(request)
        if name in self._waiting:
            return self._waiting[name]
        question = self._waiting[name] = self._unplaced[name] = Question(name, body, len(request))
        self.asked += 1
        self._tell()
        return question

    def _forget(self, question: Question) -> None:
        for questions in (self._waiting, self._unplaced):
            if questions.get(question.name) is question:
                del questions[question.name]

    def _tell(self) -> None:
        self._news.set()
