"""The tasks that the model meant, to compare them with the parsed tasks."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.fakes.chat.tasks import Task

_WHOLE_FENCE = re.compile(r"\A(`{3,})[\w+-]*[ \t]*\n(.*)\n\1\Z", re.DOTALL)

_FIELD = re.compile(r"\A[A-Z]\w+: ")

Folded = tuple[str, str]


def folded(text: str) -> str:
    """Return a text with all whitespace folded to single blanks."""
    return " ".join(text.split())


def comparable(instruction: str) -> str:
    """Return an instruction folded, and in the letter case that Self-Instruct gives it."""
    return folded(instruction).capitalize()


def without_fence(text: str) -> str:
    """Return the content of a code fence, if the fence is the whole text."""
    return fence[2] if (fence := _WHOLE_FENCE.match(text.strip())) else text


def comparable_pair(given: str, output: str) -> Folded:
    """Return an instance folded. A fence around the whole output is ignored."""
    return folded(given), folded(without_fence(output))


def _without_field(given: str) -> str:
    """Return an input of one line without the name of its field, because a parser may keep the name or not."""
    return given if "\n" in given else _FIELD.sub("", given)


@dataclass(frozen=True)
class Meant:
    """The meaning of one reply: new instructions, instances with their instruction, or a verdict on an instruction."""

    instructions: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    verdict: tuple[str, bool] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the value for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Meant":
        """Return the value from the result of `as_dict` after a round trip through JSON."""
        verdict = value["verdict"]
        tasks = tuple(Task(**task) for task in value["tasks"])
        return cls(tuple(value["instructions"]), tasks, (verdict[0], verdict[1]) if verdict else None)


@dataclass
class Truth:
    """The meaning of all replies. `pairs_of` has the instances of an instruction, `verdicts` the verdicts on it.

    Keys are the results of `comparable` for instructions, and of `comparable_pair` for instances.
    """

    meant_instructions: set[str] = field(default_factory=set)
    meant_pairs: set[Folded] = field(default_factory=set)
    pairs_of: dict[str, set[Folded]] = field(default_factory=dict)
    verdicts: dict[str, bool] = field(default_factory=dict)
    _comparable: set[str] = field(default_factory=set)

    def learn(self, meant: Meant) -> None:
        """Add the meaning of a reply."""
        self.meant_instructions.update(map(folded, meant.instructions))
        self._comparable.update(map(comparable, meant.instructions))
        for task in meant.tasks:
            pairs = {comparable_pair(task.input, task.output), comparable_pair(_without_field(task.input), task.output)}
            self.meant_pairs |= pairs
            self.pairs_of.setdefault(comparable(task.instruction), set()).update(pairs)
        if meant.verdict is not None:
            self.verdicts[comparable(meant.verdict[0])] = meant.verdict[1]

    def has_instruction(self, instruction: str) -> bool:
        return comparable(instruction) in self._comparable

    @classmethod
    def of(cls, all_meant: Iterable[Meant]) -> "Truth":
        truth = cls()
        for meant in all_meant:
            truth.learn(meant)
        return truth
