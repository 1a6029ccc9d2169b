"""Runs on a real Kafka, observed from outside: topics, goal, ledger, and calls to the model."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging.messages import Answer, ClassifiedInstruction, TaskInstances
from tests.acceptance.ledger import Ledger, ledger_of
from tests.acceptance.model import Model, eventually
from tests.acceptance.program import run
from tests.kafka.fleet import Fleet

CALLED = (Answer, ClassifiedInstruction, TaskInstances)


@dataclass(frozen=True)
class KafkaRun:
    """One run at one cluster. `settings` are the environment of its processes."""

    folder: Path
    bootstrap: str
    name: str
    settings: Mapping[str, str]

    @classmethod
    def create(
        cls, folder: Path, bootstrap: str, model: Model | None = None, partitions: int = 8, **settings: str
    ) -> "KafkaRun":
        """Create the topics of a run with a new name."""
        name = f"t{uuid4().hex[:8]}"
        common = {"BROKER": f"kafka://{bootstrap}", "RUN": name, **settings}
        if model is not None:
            common |= {
                "LM": "openai",
                "LM_URL": model.simulator.url,
                "MODEL": model.simulator.options.model,
                "LM_API": "completions",
            }
        created = run(folder, "topics", "create", "--partitions", str(partitions), settings=common)
        assert created.code == 0, created.err
        return cls(folder, bootstrap, name, common)

    def fleet(self) -> Fleet:
        return Fleet(self.folder, self.settings)

    def set_goal(self, target: int, *flags: str) -> None:
        ended = run(self.folder, "goal", "--target", str(target), *flags, settings=self.settings)
        assert ended.code == 0, ended.err

    def topic(self, short: str) -> str:
        return f"seedstream.{self.name}.{short}"

    def ledger(self) -> Ledger:
        async def read() -> Ledger:
            async with KafkaBroker.open(KafkaOptions(bootstrap=self.bootstrap)) as broker:
                return await ledger_of(broker, self.name)

        return anyio.run(read)

    def ledger_once(self, condition: Any) -> Ledger:
        """Return the ledger as soon as the condition holds."""
        ledgers: list[Ledger] = []

        def holds() -> bool:
            ledgers[:] = [self.ledger()]
            return bool(condition(ledgers[0]))

        eventually(holds)
        return ledgers[0]


def all_answers_are_decided(ledger: Ledger) -> bool:
    """Return whether admit has processed all answers."""
    return not list(ledger.unread(Answer, "admit"))


def paid_twice(model: Model) -> int:
    """Return the number of repeated calls."""
    asked = Counter(each.prompt_sha256 for each in model.requests() if each.prompt_sha256 is not None)
    return asked.total() - len(asked)


def recorded_twice(ledger: Ledger) -> int:
    """Return the number of completions on the log for an input that already has one."""
    calls = Counter(
        (kind, message.key)
        for kind in CALLED
        for message in ledger.all(kind)
        if getattr(message, "call", None) is not None
    )
    return calls.total() - len(calls)
