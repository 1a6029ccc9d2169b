"""Candidate instructions: fresh ones, and at configured rates instructions that the filters reject."""

import random

from msgspec import Struct

from service.simulator.options import SimulatorOptions
from service.simulator.text.prompt_parser import Stage, demonstrations
from service.simulator.text.word_tables import pick
from service.simulator.text.wording import Wording, wording_in

# In an instruction with fewer words, one changed word lowers ROUGE-L below 0.7.
_LEAST_WORDS = 4


class InstructionWriter(Struct, frozen=True):
    """Generates the candidate instructions of one reply."""

    options: SimulatorOptions
    rng: random.Random
    prompt: str
    stage: Stage

    @property
    def wording(self) -> Wording:
        """The wording of the options."""
        return wording_in(self.options.vocabulary)

    def write(self, count: int) -> list[str]:
        """Return `count` instructions, each drawn at the rates of the options."""
        return [self._write_one() for _ in range(count)]

    def _write_one(self) -> str:
        options = self.options
        if options.hard_words and options.hard_words in self.prompt and self.rng.random() < options.hard_rate:
            return pick(self.wording.short, self.rng.random).fill(self.rng.random)
        share = self.rng.random()
        if share < options.near_duplicate_rate:
            return self._near_duplicate()
        share -= options.near_duplicate_rate
        if share < options.blocked_word_rate:
            return pick(self.wording.blocked, self.rng.random).fill(self.rng.random)
        share -= options.blocked_word_rate
        if share < options.too_short_rate:
            return pick(self.wording.short, self.rng.random).fill(self.rng.random)
        return self._fresh()

    def _fresh(self) -> str:
        draw = self.rng.random
        is_classification = draw() < self.options.classification_rate
        frames = self.wording.classification if is_classification else self.wording.generation
        return pick(frames, draw).fill(draw)

    def _near_duplicate(self) -> str:
        """Return an instruction of the prompt with one word changed; the simulator does not know the task pool."""
        shown = [self.wording.split(text.strip()) for text in demonstrations(self.prompt, self.stage)]
        long_enough = [words for words in shown if len(words) >= _LEAST_WORDS]
        if not long_enough:
            return self._fresh()
        words = self.rng.choice(long_enough)
        place = self.rng.randrange(1, len(words) - 1)
        words[place] = pick(self.wording.nouns, self.rng.random)
        return self.wording.between_words.join(words)
