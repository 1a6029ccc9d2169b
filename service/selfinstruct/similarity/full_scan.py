"""Exact full scans, which compare texts with all texts before them. They are for display, never for verdicts."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from service.selfinstruct.similarity.rouge import FullScan, Match, f_measures, scores
from service.selfinstruct.similarity.token_store import TokenStore

# Comparisons per block of `surveys`: less than a second of work, and 16 MB of results.
_AT_ONCE = 4_000_000
_MOST_ROWS = 256
# Number of texts that `survey` decodes to strings at a time.
_IN_HAND = 50_000


def full_scan(texts: TokenStore, encoded: str, count: int) -> FullScan:
    """Compare a text, its tokens as characters, with all of `texts`.

    Returns:
        The `count` nearest texts, equal scores in order of position, and numpy's mean of all scores in order.
    """
    found = [
        scores(encoded, [texts[place] for place in range(low, min(low + _IN_HAND, len(texts)))])
        for low in range(0, len(texts), _IN_HAND)
    ]
    return _summary(np.concatenate([np.empty(0), *found]), count)


def full_scans(texts: TokenStore, count: int, workers: int) -> Iterator[list[FullScan]]:
    """Yield the survey of each text against those before it, in order, in blocks.

    Args:
        texts: the texts; they must not grow during the iteration.
        count: the number of nearest texts in a survey.
        workers: the number of threads; -1 for one per core.
    """
    encoded = [texts[place] for place in range(len(texts))]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    start = 0
    while start < len(encoded):
        end = min(len(encoded), start + max(1, min(_MOST_ROWS, _AT_ONCE // (start + _MOST_ROWS))))
        lcs = process.cdist(
            encoded[start:end], encoded[:end], scorer=LCSseq.similarity, dtype=np.uint32, workers=workers
        )
        yield [
            _summary(f_measures(lcs[place - start, :place], lengths[:place], len(encoded[place])), count)
            for place in range(start, end)
        ]
        start = end


def _summary(found: npt.NDArray[np.float64], count: int) -> FullScan:
    if not found.size:
        return FullScan((), 0.0)
    nearest = _largest(found, count)
    return FullScan(tuple(Match(int(place), float(found[place])) for place in nearest), float(np.mean(found)))


def _largest(found: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.intp]:
    """Return the places of the `count` largest values, in the order of a stable sort from large to small."""
    places = np.arange(found.size)
    if 0 < count < found.size:
        least = np.partition(found, -count)[-count]
        above = np.flatnonzero(found > least)
        places = np.concatenate([above, np.flatnonzero(found == least)[: count - above.size]])
    return places[np.argsort(-found[places], kind="stable")][:count]
