"""The tasks that demonstrations are drawn from. Those of the machine, which may be millions, are in a few arrays."""

from array import array
from dataclasses import dataclass

from service.messaging.messages import Message, Origin, PooledTask
from service.pool.task_ids import TaskIds
from service.selfinstruct.tasks import SeedTask


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The part of a task that prompts show. Seed tasks bring their seed."""

    id: str
    instruction: str
    depth: int
    seed: SeedTask | None = None


class MachineTasks:
    """Machine tasks by place. The text of task k is `texts[ends[k]:ends[k + 1]]`, in UTF-8."""

    def __init__(self) -> None:
        self.ids = TaskIds()
        self.texts = bytearray()
        self.ends = array("q", [0])
        self.depths = array("q")

    def __len__(self) -> int:
        return len(self.depths)

    def __getitem__(self, place: int) -> Demonstration:
        text = self.texts[self.ends[place] : self.ends[place + 1]].decode("utf-8", "surrogatepass")
        return Demonstration(self.ids[place], text, self.depths[place])

    def append(self, task_id: str, instruction: str, depth: int) -> None:
        """Add a task behind the others."""
        self.ids.append(task_id)
        self.texts += instruction.encode("utf-8", "surrogatepass")
        self.ends.append(len(self.texts))
        self.depths.append(depth)


class SamplingPool:
    """The pool as prompts show it; `classification` are the human tasks that are classification."""

    def __init__(self) -> None:
        self.human: list[Demonstration] = []
        self.classification: list[Demonstration] = []
        self.machine = MachineTasks()

    def apply(self, message: Message) -> None:
        """Add a task of the pool."""
        if not isinstance(message, PooledTask):
            return
        if message.origin is Origin.MACHINE:
            self.machine.append(message.id, message.instruction, message.depth)
            return
        shown = Demonstration(message.id, message.instruction, message.depth, message.seed)
        self.human.append(shown)
        if message.seed is not None and message.seed.is_classification:
            self.classification.append(shown)
