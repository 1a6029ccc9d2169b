"""The subject of a run: what its tasks are about, the topics that share it, and a system prompt of one's own."""

from collections.abc import Iterator
from dataclasses import dataclass

ABOUT = "{{about}}"
TOPIC = "{{topic}}"


@dataclass(frozen=True, slots=True)
class SubjectTopic:
    """A topic of the subject. `share` is relative to the sum of all shares; `about` describes the topic.

    `system` takes the place of the subject's system prompt.
    """

    name: str
    share: float
    about: str = ""
    system: str = ""

    @property
    def text(self) -> str:
        """Name and description, as prompts show them."""
        return f"{self.name}: {self.about}" if self.about else self.name


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a run; all is empty for a run without one. `system` precedes every prompt."""

    about: str = ""
    system: str = ""
    topics: tuple[SubjectTopic, ...] = ()

    @property
    def shares(self) -> dict[str, float]:
        """The share of each topic among the finished tasks, by its name; the sum is 1."""
        total = sum(topic.share for topic in self.topics)
        return {topic.name: topic.share / total for topic in self.topics}

    @property
    def placeholders(self) -> frozenset[str]:
        """The placeholders that have a value in prompts of this run."""
        return frozenset(name for name, is_set in ((ABOUT, self.about), (TOPIC, self.topics)) if is_set)

    def values(self, topic: str | None) -> dict[str, str]:
        """Return the values of the placeholders in a prompt on a topic, each on one line; none for other runs."""
        told = {ABOUT: self.about} if self.about else {}
        if self.topics:
            found = self._topic(topic)
            told[TOPIC] = found.text if found is not None else topic or ""
        return {name: " ".join(text.split()) for name, text in told.items()}

    def system_prompt(self, topic: str | None) -> str:
        """Return the system prompt of a topic: its own, or that of the subject; empty without one."""
        found = self._topic(topic)
        return (found.system if found is not None else "") or self.system

    def system_prompts(self) -> Iterator[str]:
        """Yield the system prompt of each topic, or that of the subject if there are no topics."""
        yield from (topic.system or self.system for topic in self.topics)
        if not self.topics:
            yield self.system

    def _topic(self, name: str | None) -> SubjectTopic | None:
        return next((topic for topic in self.topics if topic.name == name), None)


NO_SUBJECT = Subject()
