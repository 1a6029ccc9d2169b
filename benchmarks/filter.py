"""Candidates/s of the filter at pools of 7 K to 1 M tasks, compared with the original's loop and a full scan.

    python -m benchmarks.filter                               # 7,000, 52,000, 200,000 and 1,000,000: some minutes
    python -m benchmarks.filter --pools 7000 52000            # half a minute
    python -m benchmarks.filter --text FILE                   # grown from real text: {"instruction": …} a line
    python -m benchmarks.filter --text FILE --verdicts 100000 # compare this number of verdicts with a full scan
    python -m benchmarks.filter --docs docs                   # write the table and the picture there

Half of the candidates are fresh texts. The other half are variations of texts in the pool with up to 60 % of their
words changed, so that scores lie on both sides of the threshold. The pool grows as in a run, with a query now and then,
so the index has the shape that it has in a run, tail and segments. One thread. The original loops over `rouge_score`,
which is measured on 200 texts of the same pool and multiplied. "full scan" compares with every text by rapidfuzz, on
the same encoded texts.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from benchmarks import filter_profile
from benchmarks.corpus import Corpus, edited, real_texts
from benchmarks.machine import load
from benchmarks.picture import Line, log_log
from service.selfinstruct.similarity import Match, SimilarityIndex, tokenize
from service.selfinstruct.similarity.rouge import scores
from service.selfinstruct.similarity.vocabulary import Vocabulary

_POOLS = (7_000, 52_000, 200_000, 1_000_000)
_THRESHOLD = 0.7
_CANDIDATES = 2_000
_KEPT_BACK = 2_000
# A growing pool gets one query for this number of texts.
_ASKED_EVERY = 500
_LOOPED, _LOOPS = 200, 3
_SCANS = 10
# For verdicts: the size of the pool, and a tail small enough that most texts are in segments. Others are candidates.
_VERDICTS_POOL, _VERDICTS_TAIL = 14_000, 1_000


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements at one size of the pool, with times in seconds for each candidate."""

    pool: int
    mean_s: float
    p50_s: float
    p99_s: float
    rejected: float
    bytes_each: float
    scan_s: float
    loop_s: float
    differing: int
    shares: dict[str, float]

    def row(self) -> str:
        """Return a row of the table."""
        return (
            f"| {self.pool:,} | {1 / self.mean_s:,.0f} | {self.p50_s * 1e3:.2f} | {self.p99_s * 1e3:.2f} | "
            f"{self.bytes_each:.0f} | {1 / self.scan_s:,.1f} | {self.scan_s / self.mean_s:,.0f} | "
            f"{self.loop_s:,.2f} | {self.loop_s / self.mean_s:,.0f} | {self.rejected:.0%} |"
        )


HEADER = (
    "| pool | candidates/s | p50 ms | p99 ms | bytes a task | full scan/s | ratio | "
    "rouge_score s each | ratio | rejected |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


class FullScan:
    """The pool as encoded texts, compared one after another."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Add a text."""
        self._texts.append(self._vocabulary.learn(tokenize(text)))

    def nearest(self, text: str) -> Match | None:
        """Return the nearest text above the threshold."""
        found = scores(self._vocabulary.encode(tokenize(text)), self._texts)
        best = int(found.argmax())
        return Match(best, float(found[best])) if found[best] > _THRESHOLD else None


def candidates(corpus: Corpus, pool: int, fresh: Sequence[str], count: int, rng: random.Random) -> Iterator[str]:
    """Yield candidates for a pool of the first texts of the corpus: fresh texts and variations, in turn."""
    for place in range(count):
        if place % 2:
            yield rng.choice(fresh)
        else:
            yield edited(corpus.tokens(rng.randrange(pool)), corpus.tokens(rng.randrange(pool)), rng)


def measure(index: SimilarityIndex, full: FullScan, corpus: Corpus, fresh: Sequence[str]) -> Measured:
    """Query the index and the baselines."""
    pool = len(index)
    asked = list(candidates(corpus, pool, fresh, _CANDIDATES, random.Random(f"candidates/{pool}")))  # noqa: S311
    for text in asked[:50]:
        index.nearest(text)
    took, found = np.zeros(len(asked)), []
    for place, text in enumerate(asked):
        began = time.perf_counter()
        found.append(index.nearest(text))
        took[place] = time.perf_counter() - began
    began = time.perf_counter()
    scanned = [full.nearest(text) for text in asked[:_SCANS]]
    scan_s = (time.perf_counter() - began) / _SCANS
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    began = time.perf_counter()
    for text in asked[:_LOOPS]:
        for number in range(_LOOPED):
            scorer.score(text, corpus.text(number))
    loop_s = (time.perf_counter() - began) / _LOOPS * pool / _LOOPED
    return Measured(
        pool=pool,
        mean_s=float(took.mean()),
        p50_s=float(np.median(took)),
        p99_s=float(np.percentile(took, 99)),
        rejected=sum(each is not None for each in found) / len(found),
        bytes_each=index.nbytes / pool,
        scan_s=scan_s,
        loop_s=loop_s,
        differing=sum(one != other for one, other in zip(found, scanned, strict=False)),
        shares=filter_profile.profile(index, asked),
    )


def table(pools: Sequence[int], corpus: Corpus, kept_back: Sequence[str]) -> Iterator[Measured]:
    """Yield the measurements at each size, while the pool grows from one to the next."""
    index, full = SimilarityIndex(_THRESHOLD), FullScan()
    for pool in pools:
        for number in range(len(index), pool):
            text = corpus.text(number)
            index.add(text)
            full.add(text)
            if number % _ASKED_EVERY == 0:
                index.nearest(text)
        grown = [corpus.text(number) for number in range(len(corpus) - _KEPT_BACK, len(corpus))]
        real_alone = pool <= corpus.real
        yield measure(index, full, corpus, kept_back if real_alone else [*kept_back, *grown])


def compare_verdicts(real: Sequence[str], count: int) -> int:
    """Compare verdicts on real text with those of a full scan. Returns the number of differences."""
    rng = random.Random("verdicts")  # noqa: S311 - a choice of texts
    index, full = SimilarityIndex(_THRESHOLD, _VERDICTS_TAIL), FullScan()
    pool, held_out = real[:_VERDICTS_POOL], real[_VERDICTS_POOL:]
    for text in pool:
        index.add(text)
        full.add(text)
        index.nearest(text)
    differing = rejected = 0
    for place in range(count):
        words = rng.choice(held_out).split() if place % 2 else rng.choice(pool).split()
        text = " ".join(words) if place % 4 == 1 else edited(words, rng.choice(pool).split(), rng)
        ours = index.nearest(text)
        differing += ours != full.nearest(text)
        rejected += ours is not None
    print(f"{count:,} candidates against {len(pool):,} real texts: {rejected:,} rejected, {differing} verdicts differ")
    return differing


def write_docs(folder: Path, measured: Sequence[Measured], heading: str) -> None:
    """Write the table and the picture."""
    rows = "\n".join(each.row() for each in measured)
    picture = log_log(
        "Candidates judged a second, one core",
        "tasks in the pool",
        [
            Line("Seedstream", [(each.pool, 1 / each.mean_s) for each in measured]),
            Line("full scan by rapidfuzz", [(each.pool, 1 / each.scan_s) for each in measured]),
            Line("loop over rouge_score", [(each.pool, 1 / each.loop_s) for each in measured]),
        ],
    )
    last = measured[-1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "filter.svg").write_text(picture)
    (folder / "filter.md").write_text(
        f"# The filter, measured\n\n`make bench-filter` ([benchmarks/filter.py](../benchmarks/filter.py)); {heading}\n"
        "Half of the candidates are fresh, half are variations of texts in the pool; one thread.\n"
        "Bytes a task are those of the index's arrays, its texts among them; the newest texts have no postings yet.\n\n"
        f"![Candidates judged a second by size of the pool](filter.svg)\n\n{HEADER}\n{rows}\n\n"
        f"What is left, at {last.pool:,} tasks (by `cProfile`):\n\n{filter_profile.table(last.shares)}\n"
    )


def main() -> None:
    """Measure and print."""
    arguments = parsed()
    real = real_texts(arguments.text)
    if arguments.verdicts is not None:
        if len(real) <= _VERDICTS_POOL:
            sys.exit(f"--verdicts needs --text FILE with more than {_VERDICTS_POOL:,} texts, got {len(real):,}")
        sys.exit(compare_verdicts(real, arguments.verdicts) > 0)
    if arguments.text is not None and len(real) <= _KEPT_BACK:
        sys.exit(f"--text needs more than {_KEPT_BACK:,} texts, since so many are kept back, got {len(real):,}")
    pools = sorted(arguments.pools)
    corpus = Corpus(max(pools[-1], len(real)) + _KEPT_BACK, real[_KEPT_BACK:])
    heading = describe(corpus)
    print(f"{heading}\n{HEADER}", flush=True)
    measured = []
    for each in table(pools, corpus, real[:_KEPT_BACK]):
        measured.append(each)
        print(each.row(), flush=True)
    differing = sum(each.differing for each in measured)
    print(f"{differing} of {_SCANS * len(measured)} verdicts differ from the full scan's")
    print(f"at {measured[-1].pool:,} tasks, by cProfile:\n{filter_profile.table(measured[-1].shares)}")
    if arguments.docs is not None:
        write_docs(arguments.docs, measured, heading)
    sys.exit(differing > 0)


def describe(corpus: Corpus) -> str:
    """Describe the source of the texts, and the law that they follow."""
    grown = corpus.grown_law()
    return (
        f"{load()}; {corpus.real:,} real texts, the rest grown by Heaps' law "
        f"{corpus.law.factor:.1f} n^{corpus.law.exponent:.3f}; in the end {grown.factor:.1f} n^{grown.exponent:.3f}."
    )


def positive_number(text: str) -> int:
    """Parse a number of 1 or more."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", type=positive_number, nargs="+", default=_POOLS)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--verdicts", type=int)
    parser.add_argument("--docs", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
