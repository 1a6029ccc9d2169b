"""Near-copies of the tasks that a prompt shows. Models write them, and filters should reject them."""

import random
import re
from collections.abc import Sequence

from tests.fakes.chat.words import fill

_FEWEST_LETTERS = 4
_COPIED = re.compile(r"[A-Z][^\n*#|<>\[\]{}`]{30,200}[.?]")
# Words that no task may contain, and numbers that are part of stop strings.
_UNWANTED = re.compile(
    r"^Write a program"
    r"|\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram|16|20)\b",
    re.IGNORECASE,
)


def near_copy(rng: random.Random, shown: Sequence[str]) -> str | None:
    """Return a shown instruction with another noun in it, or None if no instruction is suitable."""
    fit = [text for text in shown if _COPIED.fullmatch(text) and not _UNWANTED.search(text)]
    if not fit:
        return None
    words = rng.choice(fit).split()
    places = [at for at, word in enumerate(words) if at and word.isalpha() and len(word) >= _FEWEST_LETTERS]
    for at in places and [rng.choice(places)]:
        words[at] = fill(rng, "{noun}")
    return " ".join(words)
