"""The share of a chat model's tasks that become correct data: runs against the scripted chat model of the tests.

    python -m benchmarks.chat                           # 500 tasks with both recipes in each form
    python -m benchmarks.chat --target 100 --source DIR # the same with the code in another folder

Its replies have the shapes that real chat models use, at the rates in `tests/fakes/chat/habits.py`. A task is clean if
the checker of that model, which shares no code with the parsers, finds no fault in it: neither in its text, nor
compared with the task that the model meant. A task of a reply is usable if the filter can judge it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.chat.checker import untrue, visible_faults
from tests.fakes.chat.journal import truth_of

_ROOT = Path(__file__).parents[1]
# These reasons come from the filter, which judges tasks. All others say that no task could be read.
_REASONS_OF_THE_FILTER = {
    "too_similar",
    "too_short",
    "too_long",
    "blocked_word",
    "blocked_opening",
    "leading_punctuation",
    "leading_non_ascii",
}
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Case:
    """A recipe in a form, and the flags of the server."""

    recipe: str
    form: str
    server: str
    flags: tuple[str, ...] = ()


CASES = (
    *(
        Case(recipe, form, server, flags)
        for recipe in ("self-instruct", "alpaca")
        for form, server, flags in (
            ("json", "enforces schemas", ("--enforce-schema",)),
            ("json", "ignores schemas", ()),
            ("text", "honours stops", ()),
            ("text", "ignores stops", ("--ignore-stops",)),
        )
    ),
)


@contextmanager
def chat_model(journal: Path, seed: int, *flags: str) -> Iterator[str]:
    """Serve the scripted model in another process. Yields its base URL."""
    command = [sys.executable, "-m", "tests.fakes.chat", "--seed", str(seed), "--journal", str(journal), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=_ROOT) as process:  # noqa: S603 - ours
        if process.stderr is None:
            raise AssertionError
        try:
            yield process.stderr.readline().strip()
        finally:
            process.terminate()


def seedstream(source: Path, folder: Path, *arguments: str) -> str:
    """Run the program from the code in `source`. Returns its standard output."""
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "service", *arguments, "--broker", f"sqlite:{folder / 'log'}"],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if not ended.stdout:
        raise RuntimeError(f"{' '.join(arguments)}: ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return ended.stdout


def measure(case: Case, target: int, seed: int, source: Path, *, knows_forms: bool) -> str:
    """Return the line of the table for one run."""
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name:
        folder = Path(name)
        journal = folder / "journal.jsonl"
        with chat_model(journal, seed, *case.flags) as url:
            form = ("--form", case.form) if knows_forms else ()
            server = ("--lm", "openai", "--lm-url", url, "--model", "scripted-chat")
            started = time.perf_counter()
            finished = seedstream(
                source, folder, "run", *server, "--recipe", case.recipe, "--target", str(target), *form
            )
            seconds = time.perf_counter() - started
        status = json.loads(seedstream(source, folder, "status", "--json"))
        entries = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    tasks = [json.loads(line) for line in finished.splitlines()]
    truth = truth_of(json.dumps(entry) for entry in entries)
    clean = sum(not [*untrue(task, truth), *visible_faults(task)] for task in tasks)
    attempts = sum(spent["attempts"] for spent in status["spent"].values())
    return (
        f"{case.recipe:15}{case.form:6}{case.server:18}{clean:6} of {len(tasks):<6}"
        f"{_usable(status, entries):7.1%}{len(tasks) / attempts:12.2f}{seconds:10.1f}"
    )


def _usable(status: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of the written tasks that the filter could judge as tasks."""
    written = sum(len(entry["meant"]["instructions"]) for entry in entries)
    candidates = status["candidates"]
    judged = sum(count for reason, count in candidates["rejected"].items() if reason in _REASONS_OF_THE_FILTER)
    return float((candidates["accepted"] + judged) / written)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.chat", description=__doc__)
    parser.add_argument("--target", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", type=Path, default=_ROOT, help="a folder with the code to measure")
    flags = parser.parse_args()
    source = flags.source.resolve()
    knows_forms = (source / "service/resources/templates/json_instructions.txt").exists()
    print(f"{'recipe':15}{'form':6}{'server':18}{'clean':>6} {'':9}{'usable':>7}{'tasks/call':>12}{'seconds':>10}")
    for case in CASES:
        if case.form == "text" or knows_forms:
            print(measure(case, flags.target, flags.seed, source, knows_forms=knows_forms), flush=True)


if __name__ == "__main__":
    main()
