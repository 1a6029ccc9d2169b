"""All of it at a glance: runs, calls alone, the filter, start-up by size of the log, beside baselines of the same run.

    make bench                       # some minutes
    make bench ARGS=--full           # up to a million tasks: an hour, ten gigabytes in the temporary folder
    make bench ARGS='--docs docs'    # write docs/performance.md, too

Each measurement prints its own table as it goes; at the end comes one table. `make bench-kafka` measures on Kafka, and
`make bench-filter` the filter up to a million tasks.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import client, growth, loop_steps, pace, run_profile, throughput
from benchmarks import filter as filters
from benchmarks.corpus import Corpus
from benchmarks.machine import load, log_warnings_only
from benchmarks.picture import Line, log_log

_SHORT, _FULL = (1_000, 10_000), (1_000, 10_000, 100_000, 1_000_000)
_POOLS = (7_000, 52_000)
_IN_FLIGHT, _LATENCY_S = 1_000, 0.5
_KEPT_BACK = 2_000
_LARGE = 10.0
_HEADER = "| | measured | beside it | ratio |\n|---|---:|---:|---:|"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, its baseline in the same run, and their ratio."""

    what: str
    measured: str
    baseline: str
    ratio: float

    def row(self) -> str:
        """Return a row of the table."""
        return (
            f"| {self.what} | {self.measured} | {self.baseline} | {self.ratio:,.{2 if self.ratio < _LARGE else 0}f} |"
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """All measurements of a run of this command."""

    runs: Sequence[throughput.Measured]
    calls: tuple[client.Measured, client.Measured]
    filtering: Sequence[filters.Measured]
    started: Sequence[growth.Measured]
    grown: Sequence[pace.Measured]

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the one table."""
        for run in self.runs:
            bare_ms = run.bare_cpu_s / run.completions * 1e3
            yield Row(
                f"{run.case.name}, completions/s",
                f"{run.per_s:,.0f}",
                f"bare loop {run.bare_per_s:,.0f}",
                run.per_s / run.bare_per_s,
            )
            yield Row(
                f"{run.case.name}, CPU ms each", f"{run.cpu_ms:.2f}", f"bare loop {bare_ms:.2f}", run.cpu_ms / bare_ms
            )
        bare, ours = self.calls
        yield Row(
            f"calls alone, {_IN_FLIGHT:,} in flight, answers/s",
            f"{ours.per_s:,.0f}",
            f"bare loop {bare.per_s:,.0f}",
            ours.per_s / bare.per_s,
        )
        for each in self.filtering:
            yield Row(
                f"filter at {each.pool:,} tasks, candidates/s",
                f"{1 / each.mean_s:,.0f}",
                f"full scan {1 / each.scan_s:,.1f}",
                each.scan_s / each.mean_s,
            )
        yield from self._started()

    def _started(self) -> Iterator[Row]:
        """Yield a row for each thing that was started on the longest log."""
        tasks = max(each.tasks for each in self.started)
        longest = {(each.what, each.checkpoints): each for each in self.started if each.tasks == tasks}
        bare = longest.pop((growth.BARE, False))
        for each in longest.values():
            yield Row(
                f"{each.what}, {tasks:,} tasks{', from checkpoints' if each.checkpoints else ''}",
                f"{each.cpu_s:,.2f} s CPU, {each.rss_mib:,.0f} MiB",
                f"reading the log with sqlite3 {bare.cpu_s:,.2f} s",
                each.cpu_s / bare.cpu_s,
            )


def measure(sizes: Sequence[int], keep: Path | None) -> Whole:
    """Measure everything, one after another."""
    source = Path(__file__).parents[1]
    runs = list(throughput.table(throughput.CASES, None, source))
    calls = asyncio.run(client.compare(_LATENCY_S, _IN_FLIGHT))
    client.show(_LATENCY_S, _IN_FLIGHT, *calls)
    corpus = Corpus(_POOLS[-1] + _KEPT_BACK, ())
    filtering = list(filters.table(_POOLS, corpus, []))
    print(filters.HEADER, *(each.row() for each in filtering), sep="\n", flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.startup"], cwd=source, check=True)
    print(growth.HEADER)
    started = []
    with growth.kept(keep) as folder:
        for each in growth.growth(sizes, folder, source):
            print(each.row(), flush=True)
            started.append(each)
    print(pace.HEADER)
    grown = []
    for size in pace.pace(sizes):
        print(size.row(), flush=True)
        grown.append(size)
    return Whole(runs, calls, filtering, started, grown)


def write_docs(folder: Path, whole: Whole) -> None:
    """Write the page and its picture."""
    (folder / "growth.svg").write_text(picture(whole.started))
    template = (folder / "performance.md").read_text()
    head, _, tail = template.partition(_BEGIN)
    _, _, tail = tail.partition(_END)
    profile = run_profile.table(run_profile.profile(throughput.CASES[1].prompts))
    tables = "\n\n".join(
        [
            f"{load()}.\n\n{_HEADER}\n" + "\n".join(each.row() for each in whole.rows()),
            f"{throughput.HEADER}\n" + "\n".join(each.row() for each in whole.runs),
            f"{growth.HEADER}\n" + "\n".join(each.row() for each in whole.started),
            "![CPU until ready by number of tasks](growth.svg)",
            f"{pace.HEADER}\n" + "\n".join(each.row() for each in whole.grown),
            profile,
            loop_steps.find(throughput.CASES[1].name, None).table(),
        ]
    )
    (folder / "performance.md").write_text(f"{head}{_BEGIN}\n\n{tables}\n\n{_END}{tail}")


_BEGIN, _END = "<!-- measured -->", "<!-- end -->"


def picture(started: Sequence[growth.Measured]) -> str:
    """Return a picture of CPU seconds by number of tasks, without and with checkpoints."""
    names = {
        ("status", False): "status",
        ("producer", False): "producer",
        ("status", True): "status, checkpoints",
        ("producer", True): "producer, checkpoints",
    }
    lines = [
        Line(name, [(each.tasks, each.cpu_s) for each in started if (each.what, each.checkpoints) == key])
        for key, name in names.items()
    ]
    return log_log("CPU seconds until ready", "tasks on the log", lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are used again")
    given = parser.parse_args(sys.argv[1:])
    log_warnings_only()
    whole = measure(_FULL if given.full else _SHORT, given.keep)
    print(f"\n{load()}\n{_HEADER}", *(each.row() for each in whole.rows()), sep="\n")
    if given.docs is not None:
        write_docs(given.docs, whole)


if __name__ == "__main__":
    main()
