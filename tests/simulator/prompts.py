"""Prompts that end like the recipes' prompts."""

SHOWN = (
    "Compose a lullaby for a baby dragon that cannot fall asleep.",
    "Convert a distance from nautical miles to kilometres and round it.",
    "Explain to a child why the sea is salty but rivers are not.",
    "Suggest three birthday presents for a grandfather who loves trains.",
    "Correct the grammar of the sentence without changing its meaning.",
    "What would you pack for a week in a mountain hut in spring?",
    "Name the capital cities of five countries that border the Baltic Sea.",
    "Rewrite this complaint about a late parcel so that it sounds polite.",
)


def instructions(topic: str = "tasks") -> str:
    """Return a prompt for more instructions."""
    shown = "\n".join(f"{number}. {text}" for number, text in enumerate(SHOWN, 1))
    return f"Continue this list of {topic}:\n\n{shown}\n9."


def alpaca(topic: str = "tasks") -> str:
    """Return a prompt for whole tasks."""
    pieces = [
        f"###\n{number}. Instruction: {text}\n{number}. Input:\n<noinput>\n{number}. Output:\nAn answer.\n"
        for number, text in enumerate(SHOWN[:3], 1)
    ]
    return f"Put together 20 {topic}.\n\n1. Vary the verbs.\n\n{''.join(pieces)}###\n4. Instruction:"


def classification(instruction: str) -> str:
    """Return a prompt that asks whether a task is a classification."""
    return f"Task: {SHOWN[0]}\nIs it classification? No\n\nTask: {instruction}\nIs it classification?"


def generation_instances(instruction: str) -> str:
    """Return an input-first prompt."""
    return f"Do each task.\n\nTask: {SHOWN[1]}\nExample 1\nInput: 5\nOutput: 9.26\n\nTask: {instruction}\n"


def classification_instances(instruction: str) -> str:
    """Return an output-first prompt."""
    return f"Do each task.\n\nTask: Is it spam?\nClass label: spam\nText: Buy now\n\nTask: {instruction}\n"
