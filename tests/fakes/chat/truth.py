"""What the model meant, so that what was made of its replies can be compared."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.fakes.chat.tasks import Task

_WHOLE_FENCE = re.compile(r"\A(`{3,})[\w+-]*[ \t]*\n(.*)\n\1\Z", re.DOTALL)

_FIELD = re.compile(r"\A[A-Z]\w+: ")

Folded = tuple[str, str]


def folded(text: str) -> str:
    """Return a text with single blanks for all that is blank."""
    return " ".join(text.split())


def comparable(instruction: str) -> str:
    """Return an instruction folded, and in the letter case that Self-Instruct gives it."""
    return folded(instruction).capitalize()


def without_fence(text: str) -> str:
    """Return what is within a code fence, if that is the whole text."""
    return fence[2] if (fence := _WHOLE_FENCE.match(text.strip())) else text


def comparable_pair(given: str, output: str) -> Folded:
    """Return an instance folded; a fence around its whole output counts for nothing."""
    return folded(given), folded(without_fence(output))


def _without_field(given: str) -> str:
    """Return an input of one line without the name of its field: a reader may keep it or not."""
    return given if "\n" in given else _FIELD.sub("", given)


@dataclass(frozen=True)
class Meant:
    """What one reply meant: new instructions, instances with the instruction they are of, or a verdict on one."""

    instructions: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    verdict: tuple[str, bool] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Meant":
        """Return what `as_dict` gave, after a way through JSON."""
        verdict = value["verdict"]
        tasks = tuple(Task(**task) for task in value["tasks"])
        return cls(tuple(value["instructions"]), tasks, (verdict[0], verdict[1]) if verdict else None)


@dataclass
class Truth:
    """All that was meant; `pairs_of` has the instances of an instruction, `verdicts` what was said of it.

    Keys are instructions as `comparable` gives them, instances as `comparable_pair` does.
    """

    meant_instructions: set[str] = field(default_factory=set)
    meant_pairs: set[Folded] = field(default_factory=set)
    pairs_of: dict[str, set[Folded]] = field(default_factory=dict)
    verdicts: dict[str, bool] = field(default_factory=dict)
    _comparable: set[str] = field(default_factory=set)

    def learn(self, meant: Meant) -> None:
        """Add what a reply meant."""
        self.meant_instructions.update(map(folded, meant.instructions))
        self._comparable.update(map(comparable, meant.instructions))
        for task in meant.tasks:
            pairs = {comparable_pair(task.input, task.output), comparable_pair(_without_field(task.input), task.output)}
            self.meant_pairs |= pairs
            self.pairs_of.setdefault(comparable(task.instruction), set()).update(pairs)
        if meant.verdict is not None:
            self.verdicts[comparable(meant.verdict[0])] = meant.verdict[1]

    def has_instruction(self, instruction: str) -> bool:
        """Return whether an instruction was meant."""
        return comparable(instruction) in self._comparable

    @classmethod
    def of(cls, all_meant: Iterable[Meant]) -> "Truth":
        """Return the truth of several replies."""
        truth = cls()
        for meant in all_meant:
            truth.learn(meant)
        return truth
