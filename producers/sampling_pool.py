"""The tasks that demonstrations are drawn from. Those of the machine, which may be millions, are in a few arrays."""

from array import array
from collections.abc import Iterable

from msgspec import Struct, convert, to_builtins

from service.checkpoints import State
from service.containers import Arrays
from service.messaging.messages import Message, Origin, PooledTask, ShownTask
from service.messaging.task_ids import TaskIds
from service.selfinstruct.tasks import SeedTask

# Number of texts in a chunk.
_CHUNK = 4_096


class Demonstration(Struct, frozen=True):
    """The part of a task that prompts show. Seed tasks bring their seed."""

    id: str
    instruction: str
    depth: int
    seed: SeedTask | None = None


class MachineTasks:
    """Machine tasks by place. Texts are in chunks, in UTF-8; `ends` are the places in a chunk where its texts end.

    Only the last chunk grows, so that a snapshot copies that one, and chunks from a checkpoint stay in its file.
    """

    def __init__(self) -> None:
        self.ids = TaskIds()
        self._chunks: list[bytearray | memoryview] = []
        self._ends = array("q")
        self._depths = array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: int) -> Demonstration:
        chunk, row = divmod(place, _CHUNK)
        begin = self._ends[place - 1] if row else 0
        text = str(self._chunks[chunk][begin : self._ends[place]], "utf-8", "surrogatepass")
        return Demonstration(self.ids[place], text, self._depths[place])

    def append(self, task_id: str, instruction: str, depth: int) -> None:
        """Add a task behind the others."""
        if len(self) % _CHUNK == 0:
            self._chunks.append(bytearray())
        chunk = self._chunks[-1]
        if isinstance(chunk, memoryview):
            chunk = self._chunks[-1] = bytearray(chunk)
        chunk += instruction.encode("utf-8", "surrogatepass")
        self.ids.append(task_id)
        self._ends.append(len(chunk))
        self._depths.append(depth)

    def snapshot(self) -> dict[str, list[memoryview]]:
        """Return the tasks as arrays, without those ids that are no numbers; later ones leave them alone."""
        texts = [memoryview(chunk) for chunk in self._chunks[:-1]]
        texts += [memoryview(bytes(chunk)) for chunk in self._chunks[-1:]]
        arrays = {"ids": self.ids.snapshot(), "ends": memoryview(self._ends[:]), "depths": memoryview(self._depths[:])}
        return {"texts": texts, **{name: [view] for name, view in arrays.items()}}

    def restore(self, arrays: Arrays, other_ids: Iterable[str]) -> None:
        """Take the tasks of a snapshot, before any other task."""
        (ids,), (ends,), (depths,), (texts,) = (arrays[name] for name in ("ids", "ends", "depths", "texts"))
        self.ids.restore(ids, other_ids)
        self._ends.frombytes(ends.cast("B"))
        self._depths.frombytes(depths.cast("B"))
        begin = 0
        for last in range(_CHUNK - 1, len(self) + _CHUNK - 1, _CHUNK):
            end = begin + self._ends[min(last, len(self) - 1)]
            self._chunks.append(texts[begin:end])
            begin = end


class SamplingPool:
    """The pool as prompts show it; `classification` are the human tasks that are classification."""

    def __init__(self) -> None:
        self.human: list[Demonstration] = []
        self.classification: list[Demonstration] = []
        self.machine = MachineTasks()

    def apply(self, message: Message) -> None:
        """Add a task of the pool."""
        if not isinstance(message, (PooledTask, ShownTask)):
            return
        if message.origin is Origin.MACHINE:
            self.machine.append(message.id, message.instruction, message.depth)
        else:
            self._add_human(Demonstration(message.id, message.instruction, message.depth, message.seed))

    def snapshot(self) -> State:
        """Return the pool; later tasks leave it alone."""
        values = {"human": to_builtins(self.human), "other_ids": list(self.machine.ids.others)}
        return State(values, self.machine.snapshot())

    def restore(self, state: State) -> None:
        """Take the pool of a snapshot, before any other task."""
        for shown in convert(state.values["human"], list[Demonstration]):
            self._add_human(shown)
        self.machine.restore(state.arrays, state.values["other_ids"])

    def _add_human(self, shown: Demonstration) -> None:
        self.human.append(shown)
        if shown.seed is not None and shown.seed.is_classification:
            self.classification.append(shown)
