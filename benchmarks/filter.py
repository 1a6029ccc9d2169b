"""Candidates/s of the filter at pools of 7 K to 1 M tasks, compared with the original's loop and a full scan.

    python -m benchmarks.filter                               # 7,000, 52,000, 200,000 and 1,000,000: some minutes
    python -m benchmarks.filter --pools 7000 52000            # half a minute
    python -m benchmarks.filter --text FILE                   # grown from real text: {"instruction": …} a line
    python -m benchmarks.filter --text FILE --verdicts 100000 # compare this number of verdicts with a full scan
    python -m benchmarks.filter --docs docs                   # write the table and the picture there

Half of the candidates are fresh texts. The other half are variations of texts in the pool with up to 60 % of their
words changed, so that scores lie on both sides of the threshold. The pool grows as in a run, with a query now and then,
so the index has the shape that it has in a run, tail and segments. Times are CPU time of one thread, so that a busy
machine matters less. The original loops over `rouge_score`, which is measured on 200 texts of the same pool and
multiplied. "full scan" compares with every text by rapidfuzz, its tokens as characters; beyond a million texts, it is
measured on the first million and multiplied.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.corpus import Corpus, edited, real_texts
from benchmarks.machine import load
from benchmarks.picture import Line, log_log
from service.selfinstruct.similarity import ROUGE, Match, SimilarityIndex

_POOLS = (7_000, 52_000, 200_000, 1_000_000)
_THRESHOLD = 0.7
_CANDIDATES = 2_000
_KEPT_BACK = 2_000
# A growing pool gets one query for this number of texts.
_ASKED_EVERY = 500
_CHUNK = 100_000
_LOOPED, _LOOPS = 200, 3
_SCANS = 10
_SCANNED = 1_000_000
_FIRST_SURROGATE, _SURROGATES = 0xD800, 0x800
# For verdicts: the size of the pool, and a tail small enough that most texts are in segments. Others are candidates.
_VERDICTS_POOL, _VERDICTS_TAIL = 14_000, 1_000
_THRESHOLDS = (0.5, 0.7, 0.9)


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
    rebuild_s: float

    def row(self) -> str:
        """Return a row of the table."""
        return (
            f"| {self.pool:,} | {1 / self.mean_s:,.0f} | {self.p50_s * 1e3:.3f} | {self.p99_s * 1e3:.2f} | "
            f"{self.bytes_each:.0f} | {1 / self.scan_s:,.1f} | {self.scan_s / self.mean_s:,.0f} | "
            f"{self.loop_s:,.2f} | {self.loop_s / self.mean_s:,.0f} | {self.rejected:.0%} | {self.rebuild_s:.2f} |"
        )


HEADER = (
    "| pool | candidates/s | p50 ms | p99 ms | bytes a task | full scan/s | ratio | "
    "rouge_score s each | ratio | rejected | rebuilt in s |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


class FullScan:
    """The pool as texts whose tokens are characters, compared one after another; texts beyond `_SCANNED` are left."""

    def __init__(self) -> None:
        self._characters: dict[str, str] = {}
        self._texts: list[str] = []

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> None:
        """Add a text."""
        if len(self._texts) < _SCANNED:
            self._texts.append(self._encoded(text))

    def nearest(self, text: str, threshold: float = _THRESHOLD) -> Match | None:
        """Return the nearest text above the threshold."""
        query = self._encoded(text)
        lcs = process.cdist([query], self._texts, scorer=LCSseq.similarity, dtype=np.uint32)[0]
        found = _f_measures(lcs, np.fromiter(map(len, self._texts), np.int64, len(self._texts)), len(query))
        best = int(found.argmax())
        return Match(best, float(found[best])) if found[best] > threshold else None

    def _encoded(self, text: str) -> str:
        return "".join([self._characters.get(token) or self._new(token) for token in ROUGE.tokens(text)])

    def _new(self, token: str) -> str:
        point = len(self._characters) + 1
        character = self._characters[token] = chr(point if point < _FIRST_SURROGATE else point + _SURROGATES)
        return character


def _f_measures(lcs: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = lcs / lengths, lcs / length
        return np.where(lcs > 0, 2 * precision * recall / (precision + recall), 0.0)


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
        began = time.thread_time()
        found.append(index.nearest(text))
        took[place] = time.thread_time() - began
    began = time.thread_time()
    scanned = [full.nearest(text) for text in asked[:_SCANS]]
    scan_s = (time.thread_time() - began) / _SCANS * pool / len(full)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    began = time.thread_time()
    for text in asked[:_LOOPS]:
        for number in range(_LOOPED):
            scorer.score(text, corpus.text(number))
    loop_s = (time.thread_time() - began) / _LOOPS * pool / _LOOPED
    return Measured(
        pool=pool,
        mean_s=float(took.mean()),
        p50_s=float(np.median(took)),
        p99_s=float(np.percentile(took, 99)),
        rejected=sum(each is not None for each in found) / len(found),
        bytes_each=index.nbytes / pool,
        scan_s=scan_s,
        loop_s=loop_s,
        differing=sum(one != other for one, other in zip(found, scanned, strict=False)) if len(full) == pool else 0,
        rebuild_s=rebuilt_in(corpus, pool),
    )


def rebuilt_in(corpus: Corpus, pool: int) -> float:
    """Return the CPU seconds that the index of the first texts takes after a restart."""
    texts, index, took = 0, SimilarityIndex(_THRESHOLD), 0.0
    while texts < pool:
        chunk = [corpus.text(number) for number in range(texts, min(pool, texts + _CHUNK))]
        began = time.thread_time()
        for text in chunk:
            index.add(text)
        took += time.thread_time() - began
        texts += len(chunk)
    began = time.thread_time()
    index.settle()
    return took + time.thread_time() - began


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
    """Compare verdicts on real text with those of full scans, at each threshold. Returns the number of differences.

    A verdict is the nearest text, if its score is above the threshold: one full scan serves all thresholds.
    """
    rng = random.Random("verdicts")  # noqa: S311 - a choice of texts
    indices, full = [SimilarityIndex(threshold, _VERDICTS_TAIL) for threshold in _THRESHOLDS], FullScan()
    pool, held_out = real[:_VERDICTS_POOL], real[_VERDICTS_POOL:]
    for text in pool:
        full.add(text)
        for index in indices:
            index.add(text)
            index.nearest(text)
    differing, rejected = np.zeros((2, len(indices)), int)
    for place in range(count):
        words = rng.choice(held_out).split() if place % 2 else rng.choice(pool).split()
        text = " ".join(words) if place % 4 == 1 else edited(words, rng.choice(pool).split(), rng)
        nearest = full.nearest(text, 0.0)
        for at, index in enumerate(indices):
            expected = nearest if nearest is not None and nearest.score > index.threshold else None
            differing[at] += index.nearest(text) != expected
            rejected[at] += expected is not None
    for at, threshold in enumerate(_THRESHOLDS):
        print(
            f"threshold {threshold}: {count:,} candidates against {len(pool):,} real texts: {rejected[at]:,} rejected, "
            f"{differing[at]} verdicts, positions or scores differ"
        )
    return int(differing.sum())


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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "filter.svg").write_text(picture)
    (folder / "filter.md").write_text(
        f"# The filter, measured\n\n`make bench-filter` ([benchmarks/filter.py](../benchmarks/filter.py)); {heading}\n"
        "Half of the candidates are fresh, half are variations of texts in the pool.\n"
        "Times are CPU time of one thread. Bytes a task are those of the index's arrays, its texts among them.\n"
        "`rebuilt` is the time of an index after a restart, once the texts have been read.\n\n"
        f"![Candidates judged a second by size of the pool](filter.svg)\n\n{HEADER}\n{rows}\n"
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
