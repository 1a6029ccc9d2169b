"""The lineage of a task, candidate, prompt or seed, from its prompt to its instances, for `seedstream explain`."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import structs

from service.errors import ConfigurationError
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, DeadLetter
from service.messaging.ids import numbers_of
from service.messaging.messages import (
    Answer,
    CandidateVerdict,
    ClassifiedInstruction,
    Decision,
    FailedCall,
    FailedPrompt,
    FinishedTask,
    Message,
    Origin,
    PooledTask,
    Prompt,
    Provenance,
    RunDefined,
    TaskInstances,
)
from service.messaging.topic_reader import Tail
from service.run.record_index import RecordIndex
from service.run.record_lookup import look_up
from service.selfinstruct.recipe import Language

_ABOUT = (
    topics.PROMPTS,
    topics.CANDIDATES,
    topics.DECISIONS,
    topics.POOL,
    topics.CLASSIFIED,
    topics.INSTANCES,
    topics.TASKS,
)


@dataclass(slots=True)
class Evidence:
    """The messages about one id, and the tasks of the pool to which these messages refer.

    With `has_earlier`, `pool` has all tasks before this one too.
    """

    id: str
    prompt_id: str
    position: int | None
    pool: dict[str, PooledTask] = field(default_factory=dict)
    has_earlier: bool = False
    defined: RunDefined | None = None
    prompt: Prompt | None = None
    answer: Answer | FailedPrompt | None = None
    decision: Decision | None = None
    classified: ClassifiedInstruction | None = None
    instances: TaskInstances | None = None
    finished: FinishedTask | None = None
    dead_letters: list[DeadLetter] = field(default_factory=list)

    def apply(self, message: Message) -> None:
        """Keep a message if it is about this id; of repeated answers and results, the first counts."""
        match message:
            case PooledTask():
                self.pool[message.id] = message
            case RunDefined():
                self.defined = message
            case Prompt() if message.id == self.prompt_id:
                self.prompt = message
            case Answer() | FailedPrompt() if message.prompt_id == self.prompt_id:
                self.answer = self.answer or message
            case Decision() if message.prompt_id == self.prompt_id:
                self.decision = message
            case _:
                self._later(message)

    def _later(self, message: Message) -> None:
        match message:
            case ClassifiedInstruction() if message.id == self.id:
                self.classified = self.classified or message
            case TaskInstances() if message.id == self.id:
                self.instances = self.instances or message
            case FinishedTask() if message.id == self.id:
                self.finished = message
            case DeadLetter() if message.id in (self.id, self.prompt_id):
                self.dead_letters.append(message)
            case _:
                pass

    @property
    def mentioned(self) -> set[str]:
        """Return the ids of the tasks whose texts are shown: the examples in the prompt, and the nearest tasks."""
        verdict, provenance = self._verdict(), self._provenance()
        shown = self.prompt.demonstrations if self.prompt is not None else ()
        names = {*shown, *(provenance.parents if provenance is not None else ())}
        if verdict is not None:
            names |= {verdict.nearest} if verdict.nearest is not None else set()
            names |= {verdict.semantic.nearest} if verdict.semantic is not None else set()
        return names

    def facts(self) -> dict[str, Any]:
        """Return the lineage as plain values.

        Raises:
            ConfigurationError: no message on the log is about this id.
        """
        verdict = self._verdict()
        known = verdict is not None or self._instruction() is not None or (self.position is None and self.prompt)
        if not known and not self.dead_letters:
            raise ConfigurationError(
                f"expected the id of a task, candidate, prompt or seed of this run, got {self.id!r}"
            )
        return {
            "id": self.id,
            "state": self._state(verdict),
            "instruction": self._instruction(),
            "reason": verdict.reason if verdict is not None else None,
            "nearest": self._nearest(verdict),
            "nearest_in_meaning": self._nearest_in_meaning(verdict),
            "dropped": self.instances.rejection if self.instances is not None else None,
            "is_classification": self.instances.is_classification if self.instances is not None else None,
            "instances": msgspec.to_builtins(self.instances.instances) if self.instances is not None else [],
            "depth": self._depth(),
            "parents": self._parents(),
            "recipe": self.decision.recipe if self.decision is not None else None,
            "templates": self._templates(),
            "topic": self._topic(),
            "failure": self._failure(),
            "dead_letters": [_without_id(letter) for letter in self.dead_letters],
            "verdicts": self._verdicts(),
            "calls": self._calls(),
            "failed_calls": msgspec.to_builtins(self._failed_calls()),
            "cost_usd": self._cost_usd(),
            "prompt": self.prompt.text if self.prompt is not None else None,
            **({"system": self.prompt.system} if self.prompt is not None and self.prompt.system else {}),
        }

    def _verdict(self) -> CandidateVerdict | None:
        verdicts = self.decision.verdicts if self.decision is not None else ()
        return next((verdict for verdict in verdicts if verdict.id == self.id), None)

    def _state(self, verdict: CandidateVerdict | None) -> str:
        if self.finished is not None:
            return "finished"
        if self.instances is not None and self.instances.rejection is not None:
            return "dropped"
        if self.id in self.pool:
            return "seed" if self.pool[self.id].origin is Origin.HUMAN else "accepted"
        if verdict is not None:
            return "rejected"
        return "decided" if self.decision is not None else "open"

    def _instruction(self) -> str | None:
        if self.id in self.pool:
            return self.pool[self.id].instruction
        candidates = self.answer.candidates if isinstance(self.answer, Answer) else ()
        return next((each.instruction for each in candidates if each.position == self.position), None)

    def _nearest(self, verdict: CandidateVerdict | None) -> dict[str, Any] | None:
        """Return the task that caused a rejection, or for an accepted task the ten nearest earlier tasks."""
        if verdict is not None and verdict.nearest is not None:
            return {"id": verdict.nearest, "instruction": self._text(verdict.nearest), "score": verdict.score}
        if self.id not in self.pool or not self.has_earlier:
            return None
        # The index is compiled code with numpy: most explanations, and every other command that reads a run, need none.
        from service.dataset.neighbours import NEAREST  # noqa: PLC0415
        from service.selfinstruct.similarity import TOKENIZERS, SimilarityIndex  # noqa: PLC0415

        task = self.pool[self.id]
        before = sorted(self.pool.values(), key=lambda each: each.pool_seq)[: task.pool_seq]
        language = self.defined.recipe.filters.language if self.defined is not None else Language.EN
        index = SimilarityIndex(1.0, tokenizer=TOKENIZERS[language])  # asked for surveys only
        for each in before:
            index.add(each.instruction)
        full_scan = index.full_scan(task.instruction, NEAREST)
        found = [(before[match.position], match.score) for match in full_scan.matches]
        return {
            "mean_score": full_scan.mean,
            "most_similar": [{"id": each.id, "instruction": each.instruction, "score": score} for each, score in found],
        }

    def _nearest_in_meaning(self, verdict: CandidateVerdict | None) -> dict[str, Any] | None:
        if verdict is None or verdict.semantic is None:
            return None
        found = verdict.semantic
        text = self._text(found.nearest)
        return {"id": found.nearest, "instruction": text, "score": found.score, "model": found.model}

    def _parents(self) -> list[dict[str, Any]]:
        shown = self.prompt.demonstrations if self.prompt is not None else ()
        provenance = self._provenance()
        if self.prompt is None and provenance is not None:
            shown = provenance.parents
        return [{"id": name, "instruction": self._text(name)} for name in shown]

    def _depth(self) -> int:
        if self.prompt is not None:
            return self.prompt.depth
        return self.pool[self.id].depth if self.id in self.pool else 0

    def _templates(self) -> str | None:
        if self.prompt is not None:
            return self.prompt.templates
        provenance = self._provenance()
        return provenance.templates if provenance is not None else None

    def _topic(self) -> str | None:
        provenance = self._provenance()
        return self.prompt.topic if self.prompt is not None else provenance.topic if provenance is not None else None

    def _provenance(self) -> Provenance | None:
        """Return the origin of an accepted task; in a salvaged run, its prompt may be lost."""
        return self.pool[self.id].provenance if self.id in self.pool else None

    def _text(self, name: str) -> str | None:
        return self.pool[name].instruction if name in self.pool else None

    def _failure(self) -> str | None:
        told = (self.answer, self.classified, self.instances)
        return next((each.failure for each in told if not isinstance(each, Answer | None) and each.failure), None)

    def _verdicts(self) -> dict[str, str]:
        """Return the verdict on each candidate if the id is a prompt's."""
        if self.position is not None or self.decision is None:
            return {}
        return {verdict.id: verdict.reason or "accepted" for verdict in self.decision.verdicts}

    def _calls(self) -> dict[str, Any]:
        calls = {
            "generate": self.answer.call if isinstance(self.answer, Answer) else None,
            "classify": self.classified.call if self.classified is not None else None,
            "instances": self.instances.call if self.instances is not None else None,
        }
        return {stage: msgspec.to_builtins(call) for stage, call in calls.items() if call is not None}

    def _failed_calls(self) -> dict[str, FailedCall]:
        """Return the cost of each stage's failed call."""
        spent = {
            "generate": self.answer.spent if isinstance(self.answer, FailedPrompt) else None,
            "classify": self.classified.spent if self.classified is not None else None,
            "instances": self.instances.spent if self.instances is not None else None,
        }
        return {stage: failed for stage, failed in spent.items() if failed is not None}

    def _cost_usd(self) -> float | None:
        """Return the cost of this id's calls, including its prompt's whole completion and all attempts, in US dollars.

        The cost is `None` if that of any call is unknown. Failed calls without reported usage are left out.
        """
        costs = [call["cost_usd"] for call in self._calls().values()]
        costs += [failed.cost_usd for failed in self._failed_calls().values() if failed.wasted is not None]
        return None if not costs or None in costs else sum(costs)


def _without_id(letter: DeadLetter) -> dict[str, Any]:
    return {name: value for name, value in structs.asdict(letter).items() if name != "id"}


async def gather(broker: Broker, run: str, name: str, index: RecordIndex, at_most: int) -> Evidence:
    """Collect the messages about an id from the blocks of the log where `index` says that they may be.

    An accepted task is compared with the earlier ones only if these are `at_most` that many.
    """
    numbers = numbers_of(name)
    prompt_id, position = (f"p{numbers[0]}", numbers[1]) if numbers is not None else (name, None)
    evidence = Evidence(name, prompt_id, position)
    async with Tail.of(broker, run, (topics.CONTROL, *DEAD_LETTER_TOPICS)) as tail:
        async for message in tail.messages_to_end():
            evidence.apply(message)
    async for message in look_up(broker, run, index, _ABOUT, {name, prompt_id}):
        evidence.apply(message)
    async for message in look_up(broker, run, index, [topics.POOL], evidence.mentioned):
        evidence.apply(message)
    task = evidence.pool.get(name)
    if task is not None and task.pool_seq <= at_most:
        async with Tail.of(broker, run, [topics.POOL]) as tail:
            async for message in tail.messages_to_end():
                evidence.apply(message)
        evidence.has_earlier = True
    return evidence
