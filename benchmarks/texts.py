"""Made-up instructions: words of a large vocabulary, the commonest far more often than the rest (Zipf)."""

import random
from itertools import accumulate

_WORDS = 50_000
_LEAST, _MOST = 8, 16


class TokenStore:
    """A stream of instructions, determined by the random numbers."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._words = [_syllables(number) for number in range(_WORDS)]
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(_WORDS)))
        self._earlier: list[list[str]] = []

    def instruction(self, repeated: float = 0.0) -> str:
        """Return an instruction. With the probability `repeated`, it is an earlier one with another word at its end."""
        if repeated and self._earlier and self._rng.random() < repeated:
            words = [*self._rng.choice(self._earlier)[:-1], *self._draw(1)]
        else:
            words = self._draw(self._rng.randint(_LEAST, _MOST))
            if repeated:
                self._earlier.append(words)
        return " ".join(words).capitalize() + "."

    def _draw(self, count: int) -> list[str]:
        return self._rng.choices(self._words, cum_weights=self._weights, k=count)


def _syllables(number: int) -> str:
    """Return a word for a number, a different one for each number."""
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    word = ""
    while True:
        number, place = divmod(number, len(consonants) * len(vowels))
        word += consonants[place // len(vowels)] + vowels[place % len(vowels)]
        if number == 0:
            return word
