"""What a stage is: one step of the pipeline, without anything about how it is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service.lm.errors import CallFailedError
from service.messaging.messages import Message
from service.messaging.topics import Topic

In = TypeVar("In", bound=Message)


class Stage(Protocol[In]):
    """A step that remembers nothing: any number of workers run it, a message may come more than once.

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
        """The topic of what it returns."""

    async def __call__(self, message: In, /) -> Sequence[Message]:
        """Return the messages that follow from one message; their ids derive from its id."""
        ...

    def give_up(self, message: In, error: CallFailedError, /) -> Sequence[Message]:
        """Return what is to be recorded when the model gave no completion for good."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from the first `consumed` messages of a batch: pairs of the cause's place in it and a result.

    `repeated` counts those whose completion was paid for although there was one already.
    """

    results: Sequence[tuple[int, Message]]
    consumed: int
    repeated: int = 0


class StatefulStage(Protocol[In]):
    """A step with memory: one active writer; its results and the offsets of its input are one transaction.

    Its memory changes in `restore` alone, which is fed its own results: those of the past at the start, and those of
    each transaction once that has committed. The log is the database.
    """

    @property
    def name(self) -> str:
        """The stage's name, which is also its role and part of its transactional id."""

    @property
    def source(self) -> Topic[In]:
        """The topic it reads; it has one partition."""

    @property
    def restores(self) -> Sequence[Topic[Message]]:
        """The topics that its memory is made of."""

    def wants_more(self) -> bool:
        """Return whether it would take another message now."""
        ...

    def restore(self, message: Message, /) -> None:
        """Remember one of its own results."""
        ...

    async def __call__(self, batch: Sequence[In], /) -> Outcome:
        """Return what follows from a batch, in order; changes nothing."""
        ...
