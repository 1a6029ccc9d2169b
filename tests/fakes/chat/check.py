"""`python -m tests.fakes.chat.check FILE.jsonl`: count the clean tasks, and list the faults of the others."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.fakes.chat.checker import untrue, visible_faults
from tests.fakes.chat.journal import truth_of
from tests.fakes.chat.truth import Truth


def report(tasks: Iterable[dict[str, Any]], truth: Truth | None = None) -> Iterator[str]:
    """Yield the lines of a report. With a truth, tasks are compared with it as well."""
    clean, total = 0, 0
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for task in tasks:
        found = [*(untrue(task, truth) if truth else ()), *visible_faults(task)]
        total, clean = total + 1, clean + (not found)
        kinds.update(set(found))
        examples |= {fault: json.dumps(task, ensure_ascii=False) for fault in found if fault not in examples}
    yield f"{clean} of {total} tasks are clean"
    for fault, count in kinds.most_common():
        yield f"{count:6} {fault}, such as {examples[fault]}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.fakes.chat.check", description=__doc__)
    parser.add_argument("file", type=Path, help="finished tasks, one JSON object a line")
    parser.add_argument("--journal", type=Path, help="the journal of the chat model that wrote them")
    flags = parser.parse_args()
    truth = truth_of(_lines(flags.journal)) if flags.journal else None
    for line in report(map(json.loads, _lines(flags.file)), truth):
        sys.stdout.write(f"{line}\n")


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").split("\n") if line.strip()]


if __name__ == "__main__":
    main()
