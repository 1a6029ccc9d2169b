"""Requests to the scripted chat model, and short words for its replies, for the tests of it."""

import random
import re
from typing import Any

from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.steps import Step

SHOWN = (
    "Compose a lullaby for a baby dragon that cannot fall asleep before midnight.",
    "Convert a distance from nautical miles to kilometres and round it carefully.",
    "Explain to a child why the sea is salty but rivers are not.",
)
LIST = "A numbered list of tasks.\n\n" + "".join(f"{n}. {text}\n" for n, text in enumerate(SHOWN, 1)) + "4."
BLOCKS = (
    "Put together 20 tasks.\n\n1. Begin the instructions with many different verbs, hardly any of them twice.\n"
    + "".join(
        f"###\n{n}. Instruction: {text}\n{n}. Input:\n<noinput>\n{n}. Output:\nFine.\n"
        for n, text in enumerate(SHOWN, 1)
    )
    + "###\n4. Instruction:"
)
OPEN_TASK = "Explain the quiet charm of beekeeping to the night shift, step by step."
LABEL_TASK = "Decide whether the review from my aunt is praise or criticism."
VERDICT = "Task: Name a river.\nIs it classification? No\n\nTask: {}\nIs it classification?"
GENERATION = "Come up with examples for each task.\n\nTask: Name a river.\nOutput: The Elbe.\n\nTask: {}\n"
LABELLING = "Each task below asks for one label.\n\nTask: Is it odd?\nClass label: odd\nNumber: 3\n\nTask: {}\n"
TEXTS = {
    Step.INSTRUCTIONS: LIST,
    Step.TASKS: BLOCKS,
    Step.CLASSIFICATION: VERDICT.format(OPEN_TASK),
    Step.INSTANCES: GENERATION.format(OPEN_TASK),
    Step.LABELS: LABELLING.format(LABEL_TASK),
}


def in_text(prompt: str, *stop: str) -> dict[str, Any]:
    return {"model": "any", "messages": [{"role": "user", "content": prompt}], "stop": list(stop)}


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def drawn(seed: int = 1) -> random.Random:
    return random.Random(seed)


def replies(model: ChatModel, body: dict[str, Any], count: int) -> list[str]:
    return [model.reply(body).content for _ in range(count)]
