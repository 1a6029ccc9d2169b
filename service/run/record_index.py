"""Tells where on the log the records about a prompt and its tasks may be, from a few numbers for each thousand records.

The records of a partition are divided into blocks, in the order of their offsets. Of each block, the lowest and the
highest prompt number are known, and whether it has other keys, such as those of seeds. Numbers grow along the log, so
that a number is found in few blocks. The answer is never too small: it covers all records with that key.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from service.checkpoints import State
from service.messaging.broker import Partition, Record
from service.messaging.ids import prompt_in, prompts_in

_RECORDS = 1_024
_NONE_LOW, _NONE_HIGH = 2**63 - 1, -1
# Behind every offset: where a last block ends.
_BEYOND = 2**63
_COLUMNS = {"begins": "q", "lows": "q", "highs": "q", "others": "B"}


@dataclass(slots=True)
class _Blocks:
    """The blocks of a partition; `records` is the number of those in the last one."""

    begins: "array[int]" = field(default_factory=lambda: array("q"))
    lows: "array[int]" = field(default_factory=lambda: array("q"))
    highs: "array[int]" = field(default_factory=lambda: array("q"))
    others: "array[int]" = field(default_factory=lambda: array("B"))
    records: int = 0

    def add(self, records: Sequence[Record]) -> None:
        while records:
            if not self.begins or self.records == _RECORDS:
                self.begins.append(records[0].offset)
                self.lows.append(_NONE_LOW)
                self.highs.append(_NONE_HIGH)
                self.others.append(0)
                self.records = 0
            room = _RECORDS - self.records
            self._add_to_last(records[:room])
            records = records[room:]

    def _add_to_last(self, records: Sequence[Record]) -> None:
        numbers, has_others = prompts_in([record.key or b"" for record in records])
        self.records += len(records)
        self.others[-1] |= has_others
        self.lows[-1] = min(self.lows[-1], *numbers, _NONE_LOW)
        self.highs[-1] = max(self.highs[-1], *numbers, _NONE_HIGH)

    def with_number(self, number: int | None) -> Iterator[tuple[int, int]]:
        """Yield the bounds of the blocks that may have this number, or another key if it is `None`."""
        ends = (*self.begins[1:], _BEYOND)
        for begin, end, low, high, other in zip(self.begins, ends, self.lows, self.highs, self.others, strict=True):
            if other if number is None else low <= number <= high:
                yield begin, end


class RecordIndex:
    """The blocks of all partitions that were read."""

    def __init__(self) -> None:
        self._blocks: dict[Partition, _Blocks] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Take records in; those of a partition come in the order of their offsets."""
        for partition, some in groupby(records, attrgetter("partition")):
            blocks = self._blocks.get(partition)
            if blocks is None:
                blocks = self._blocks[partition] = _Blocks()
            blocks.add(list(some))

    def find(self, topic: str, key: str) -> Iterator[tuple[Partition, int, int]]:
        """Yield ranges of offsets, each with its end, that hold all records of a topic with this key."""
        number = prompt_in(key.encode())
        for partition, blocks in self._blocks.items():
            if partition.topic == topic:
                yield from ((partition, *bounds) for bounds in blocks.with_number(number))

    def snapshot(self) -> State:
        """Return the content; what is added later changes nothing in it."""
        values = [[at.topic, at.number, len(each.begins), each.records] for at, each in self._blocks.items()]
        arrays = {
            column: [memoryview(getattr(each, column)[:]) for each in self._blocks.values()] for column in _COLUMNS
        }
        return State({"blocks": values}, arrays)

    @classmethod
    def restored(cls, state: State) -> "RecordIndex":
        """Return the index whose content `snapshot` returned."""
        index, at = cls(), 0
        columns = {name: [number for piece in state.arrays[name] for number in piece] for name in _COLUMNS}
        for topic, number, count, records in state.values["blocks"]:
            found = {name: array(code, columns[name][at : at + count]) for name, code in _COLUMNS.items()}
            index._blocks[Partition(topic, number)] = _Blocks(**found, records=records)
            at += count
        return index
