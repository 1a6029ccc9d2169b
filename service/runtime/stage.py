"""Stages: one step of the pipeline each, apart from the way in which it is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.checkpoints import Fold, State
from service.lm.concurrency import Slot
from service.lm.errors import CallFailedError
from service.messaging.messages import Message
from service.messaging.topics import Topic

In = TypeVar("In", bound=Message)


class Stage(Protocol[In]):
    """A step without memory: any number of workers run it, and a message may come more than once.

    `rank` orders the stages of a process when they share calls to the model: the lower goes first.
    """

    @property
    def name(self) -> str:
        """The stage's name, which is also its role and part of its consumer group."""

    @property
    def rank(self) -> int:
        """The stage's place when slots are short."""

    @property
    def source(self) -> Topic[In]:
        """The topic it reads."""

    @property
    def results(self) -> Topic[Message]:
        """The topic of its results."""

    async def __call__(self, message: In, slot: Slot | None = None, /) -> Sequence[Message]:
        """Return the results of one message; their ids derive from its id. Its call to the model uses `slot`."""
        ...

    def give_up(self, message: In, error: CallFailedError, /) -> Sequence[Message]:
        """Return the records of a call that failed for good."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of the first `consumed` messages of a batch: pairs (place of the cause in the batch, result).

    `repeated` counts messages that paid for a second completion of the same input.
    """

    results: Sequence[tuple[int, Message]]
    consumed: int
    repeated: int = 0


class StatefulStage(Protocol[In]):
    """A step with memory: one active writer; its results and the offsets of its input are one transaction.

    Its memory changes in `restore` alone, which gets its own results: the past ones at the start, and those of
    each transaction once that has committed. The log is the database. `resume` saves reading a part of the past ones.
    """

    @property
    def name(self) -> str:
        """The stage's name, which is also its role and part of its transactional id."""

    @property
    def source(self) -> Topic[In]:
        """The topic it reads; it has one partition."""

    @property
    def restores(self) -> Sequence[Topic[Message]]:
        """The topics that restore its memory."""

    def wants_more(self) -> bool:
        """Return whether it would take another message now."""
        ...

    def restore(self, message: Message, /) -> None:
        """Remember one of its own results."""
        ...

    @property
    def fold(self) -> Fold:
        """The name and the version of its memory in a checkpoint."""

    def snapshot(self) -> State:
        """Return its memory; what it remembers later changes nothing in it."""
        ...

    def resume(self, state: State, /) -> None:
        """Take a memory that `snapshot` returned; nothing has been restored before."""
        ...

    def check_restored(self) -> None:
        """Raise if results are missing, after all past ones have been restored.

        Raises:
            RecordsGoneError: there must have been more results.
        """
        ...

    async def __call__(self, batch: Sequence[In], /) -> Outcome:
        """Return the results of a batch, in order; changes no state."""
        ...
