"""The requests to the model and its replies, in memory, and in a file for other programs."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from tests.fakes.chat.truth import Meant, Truth


@dataclass(frozen=True)
class Entry:
    """One reply. `stops` and `schema` say whether the request had them."""

    step: str
    form: str
    shape: str
    kind: str
    stops: bool
    schema: bool
    finish_reason: str
    meant: Meant

    def as_line(self) -> str:
        """Return the entry as a line of JSON."""
        return json.dumps(asdict(self) | {"meant": self.meant.as_dict()}, ensure_ascii=False) + "\n"


def _nowhere(_: str) -> None:
    """Drop a line."""


@dataclass
class Journal:
    """All entries. `by_shape` counts (step, shape), and `write` receives each entry as a line."""

    write: Callable[[str], object] = _nowhere
    entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.write(entry.as_line())

    @property
    def by_step(self) -> Counter[str]:
        """The number of replies for each step."""
        return Counter(entry.step for entry in self.entries)

    @property
    def by_shape(self) -> Counter[tuple[str, str]]:
        """The number of replies for each step and shape."""
        return Counter((entry.step, entry.shape) for entry in self.entries)

    @property
    def with_stops(self) -> int:
        """The number of requests with stop strings."""
        return sum(entry.stops for entry in self.entries)

    @property
    def with_schema(self) -> int:
        """The number of requests with a schema."""
        return sum(entry.schema for entry in self.entries)


def truth_of(lines: Iterable[str]) -> Truth:
    """Return the truth of a journal's file."""
    return Truth.of(Meant.from_dict(json.loads(line)["meant"]) for line in lines)
