"""Finished runs that many tests share, and a user's own seeds."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.ledger import Ledger, read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import Ended, run_side_by_side

TARGET = 40

_TOPICS = (
    "a lighthouse keeper in winter",
    "fractions with small numbers",
    "the water cycle",
    "a polite refusal",
    "bread without yeast",
    "three chess openings",
    "the colours of autumn leaves",
    "a bicycle chain",
    "moon phases",
    "an apology to a neighbour",
    "the rules of badminton",
    "an old family recipe",
    "how glaciers move",
    "a lost umbrella",
    "short vowels in Latin",
    "the sound of rain",
    "a fair division of chores",
    "two kinds of knots",
    "a museum for children",
    "the price of salt",
)
_VERBS = ("Describe", "Explain", "Summarise what is known about", "Write four lines on", "Ask a question about")


@dataclass(frozen=True, slots=True)
class FinishedRuns:
    """A folder with finished runs, and the output of their processes."""

    folder: Path
    ended: dict[str, Ended]

    def ledger(self, run: str = "default") -> Ledger:
        return read_ledger(self.folder, run)

    def copy_to(self, folder: Path) -> Path:
        """Copy the runs to a folder, and return that folder."""
        shutil.copytree(self.folder / "runs", folder / "runs")
        return folder


def write_seeds(path: Path) -> Path:
    """Write twenty seed tasks in the schema of the original's file, with additional fields."""
    lines = [
        {
            "id": f"mine_{number}",
            "name": topic.replace(" ", "_"),
            "instruction": f"{_VERBS[number % len(_VERBS)]} {topic}.",
            "instances": [{"input": "", "output": f"Something about {topic}.", "rating": 5}],
            "is_classification": number % 5 == 0,
            "author": {"name": "me"},
        }
        for number, topic in enumerate(_TOPICS)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="session")
def own_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeds(tmp_path_factory.mktemp("seeds") / "mine.jsonl")


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory: pytest.TempPathFactory, own_seeds: Path) -> FinishedRuns:
    """Run `default` with the paper's recipe, `alpaca` with own seeds, and `one` and `two` alike, one call at a time.

    Two runs do not reach their targets: `capped` may issue three prompts, and the model of `stalled` repeats itself.
    """
    folder = tmp_path_factory.mktemp("shelf")
    simulator = ("--lm", "simulator", "--price-prompt", "1", "--price-completion", "2")
    alone = (*simulator, "--concurrency", "1", "--seed", "7", "--target", "20")
    with simulated(near_duplicate_rate=1.0, blocked_word_rate=0.0, too_short_rate=0.0) as repeating:
        flags: dict[str, tuple[str | Path, ...]] = {
            "default": (*simulator, "--target", str(TARGET), "--concurrency", "8"),
            "alpaca": (*simulator, "--recipe", "alpaca", "--seeds", own_seeds, "--target", str(TARGET)),
            "one": alone,
            "two": alone,
            "capped": (*simulator, "--max-prompts", "3"),
            "stalled": (*repeating.flags, "--concurrency", "2"),
        }
        commands = [("run", "--run", name, *more) for name, more in flags.items()]
        ended = run_side_by_side(folder, *commands, settings={"PATIENCE": "8"})
    return FinishedRuns(folder, dict(zip(flags, ended, strict=True)))
