"""Export formats of finished tasks. Each has a function that turns tasks into the bytes of a file.

- `jsonl`: the complete record of a task in our own schema, one per line.
- `alpaca`: one JSON array of `{instruction, input, output}`, one object per instance, as in Stanford Alpaca's
  `alpaca_data.json`.
- `self-instruct`: JSON Lines in the schema of the seed tasks, so that a finished data set can seed another run.

Tasks with a topic have a field `topic` in each format.
"""

from collections.abc import AsyncIterator, Callable
from enum import StrEnum

import orjson

from service.messaging.messages import FinishedTask, Message


class Format(StrEnum):
    """The name of an export format, as the command line takes it."""

    JSONL = "jsonl"
    ALPACA = "alpaca"
    SELF_INSTRUCT = "self-instruct"


Chunks = AsyncIterator[bytes]


async def as_jsonl(messages: AsyncIterator[Message]) -> Chunks:
    """Yield messages of any type as JSON Lines."""
    async for message in messages:
        yield message.to_json() + b"\n"


async def as_alpaca(tasks: AsyncIterator[FinishedTask]) -> Chunks:
    """Yield one JSON array with an object for each instance."""
    before = b"[\n"
    async for task in tasks:
        for instance in task.instances:
            row = {"instruction": task.instruction, "input": instance.input, "output": instance.output}
            yield before + orjson.dumps(row | _topic(task))
            before = b",\n"
    yield b"\n]\n" if before == b",\n" else b"[]\n"


async def as_self_instruct(tasks: AsyncIterator[FinishedTask]) -> Chunks:
    """Yield tasks in the schema of seed tasks; `is_classification` is null if the recipe has no such step (Alpaca)."""
    async for task in tasks:
        row = {
            "id": task.id,
            "name": f"task_{task.task_seq}",
            "instruction": task.instruction,
            "instances": [{"input": instance.input, "output": instance.output} for instance in task.instances],
            "is_classification": task.is_classification,
        }
        yield orjson.dumps(row | _topic(task)) + b"\n"


def _topic(task: FinishedTask) -> dict[str, str]:
    return {} if task.topic is None else {"topic": task.topic}


FORMATS: dict[Format, Callable[[AsyncIterator[FinishedTask]], Chunks]] = {
    Format.JSONL: as_jsonl,
    Format.ALPACA: as_alpaca,
    Format.SELF_INSTRUCT: as_self_instruct,
}
