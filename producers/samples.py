"""The latest answer of a step, for the message of a run that got nowhere."""

from collections import Counter

from service.errors import DecodeError
from service.messaging import codec
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.messages import Answer, FailedPrompt, Message, TaskInstances
from service.messaging.topics import CANDIDATES, INSTANCES, Topic
from service.selfinstruct.asking import expected_instances, expected_tasks
from service.selfinstruct.recipe import Language, Recipe
from service.selfinstruct.replies.characters import excerpt
from service.selfinstruct.steps import Step
from service.selfinstruct.tasks import Reason

# Reasons of the parser; the filters give the others to tasks that could be read.
_UNREADABLE = frozenset({Reason.TRUNCATED, Reason.MALFORMED, Reason.REFUSAL, Reason.CHATTER, Reason.EMPTY})
_TOLD = 3
_LOOKED_AT = 50
_POLL_S = 1.0


async def sample_of_prompts(broker: Broker, run: str, recipe: Recipe, rejected: Counter[str] | None = None) -> str:
    """Describe the latest answer to a prompt; empty if there is none.

    `rejected` has the run's refusals by reason. They are told if the answer could be read, else the expected answer.
    """
    for message in await _latest(broker, run, CANDIDATES):
        match message:
            case Answer():
                if refusals := _refusals(message, recipe, rejected or Counter()):
                    return refusals
                return _sample("prompt", message.call.completion, expected_tasks(recipe))
            case FailedPrompt():
                return f"the latest prompt failed: {message.failure}"
            case _:
                pass
    return ""


async def sample_of_instances(broker: Broker, run: str, recipe: Recipe) -> str:
    """Describe the latest answer without an instance; empty if there is none."""
    for message in await _latest(broker, run, INSTANCES):
        if isinstance(message, TaskInstances) and message.rejection is not None:
            if message.call is None:
                return f"the latest call failed: {message.failure}"
            return _sample("task", message.call.completion, expected_instances(recipe.of(Step.INSTANCES)))
    return ""


async def latest_model(broker: Broker, run: str) -> str | None:
    """Return the name of the model that gave the latest answer to a prompt, or none if there is no answer."""
    answers = (message for message in await _latest(broker, run, CANDIDATES) if isinstance(message, Answer))
    latest = next(answers, None)
    return None if latest is None else latest.call.model


def _refusals(answer: Answer, recipe: Recipe, rejected: Counter[str]) -> str:
    """Describe why tasks that could be read were refused; empty if the answer has none, or most could not be read."""
    by_filters = Counter({reason: count for reason, count in rejected.items() if reason not in _UNREADABLE})
    read = next((each for each in answer.candidates if each.rejection not in _UNREADABLE), None)
    if read is None or not by_filters or 2 * by_filters.total() < rejected.total():
        return ""
    most = by_filters.most_common(_TOLD)
    remedy = ""
    if most[0][0] == Reason.LEADING_NON_ASCII and recipe.filters.language is Language.EN:
        remedy = "; the filters are made for English, and a run with `--language any` is for other languages"
    reasons = ", ".join(f"{reason} {count}" for reason, count in most)
    return (
        f"the answers can be read, and the filters refuse their tasks, most often as {reasons}{remedy}; "
        f'the latest answer has the task "{excerpt(read.instruction)}"'
    )


def _sample(asked: str, completion: str, expected: str) -> str:
    came = f'"{excerpt(completion)}"' if completion.strip() else "an empty answer"
    return f"expected {expected}, and to the latest {asked} came {came}"


async def _latest(broker: Broker, run: str, topic: Topic[Message]) -> list[Message]:
    """Return the messages at the end of a topic with one partition, the latest first."""
    partition = Partition(topic.of(run), 0)
    end = await broker.end_offset(partition, Isolation.READ_COMMITTED)
    found: list[Message] = []
    async with broker.reader([partition]) as reader:
        reader.seek(partition, max(0, end - _LOOKED_AT))
        while reader.position(partition) < end and (records := await reader.poll(_LOOKED_AT, _POLL_S)):
            for record in records:
                try:
                    found.append(codec.decode(topic, record))
                except DecodeError:
                    continue  # its stage has told of it
    return found[::-1]
