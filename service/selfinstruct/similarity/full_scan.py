"""Summaries of exact full scans. They are for display, never for verdicts."""

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.scores import FullScan, Match

_Scores = npt.NDArray[np.float64]


def summary(found: npt.ArrayLike, count: int) -> FullScan:
    """Return the `count` nearest texts, equal scores in order of position, and numpy's mean of all scores in order."""
    scores: _Scores = np.asarray(found, np.float64)
    if not scores.size:
        return FullScan((), 0.0)
    nearest = _largest(scores, count)
    return FullScan(tuple(Match(int(place), float(scores[place])) for place in nearest), float(np.mean(scores)))


def _largest(scores: _Scores, count: int) -> npt.NDArray[np.intp]:
    """Return the places of the `count` largest values, in the order of a stable sort from large to small."""
    places = np.arange(scores.size)
    if 0 < count < scores.size:
        least = np.partition(scores, -count)[-count]
        above = np.flatnonzero(scores > least)
        places = np.concatenate([above, np.flatnonzero(scores == least)[: count - above.size]])
    return places[np.argsort(-scores[places], kind="stable")][:count]
