"""Postings: which texts hold a token, side by side with what rules most of them out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.sieve import Sieve
from service.selfinstruct.similarity.signatures import WORDS, signatures
from service.selfinstruct.similarity.texts import Texts, TokenRuns

# Postings are sorted as one integer: rank of the token, load, text, place. 63 bits hold a full vocabulary.
_PLACE_BITS, _TEXT_BITS, _LOAD_BITS = 8, 26, 8
_LAST_PLACE = (1 << _PLACE_BITS) - 1
_MOST_TEXTS = 1 << _TEXT_BITS
_RANK = (1 << 32) - 1
# Texts whose tokens are sorted at a time.
_CHUNK = 32_768


@dataclass(frozen=True, slots=True)
class Postings:
    """One array for each thing that is kept of a posting; token by token, and by load for each."""

    texts: npt.NDArray[np.int32]
    """The text, counted from the segment's start."""
    reach: npt.NDArray[np.int16]
    sieve: Sieve

    @property
    def nbytes(self) -> int:
        """Its memory, in bytes."""
        return self.texts.nbytes + self.reach.nbytes + self.sieve.nbytes

    @classmethod
    def build(
        cls, texts: Texts, start: int, end: int, ranks: npt.NDArray[np.int32], bounds: Bounds
    ) -> tuple[Self, npt.NDArray[np.int64]]:
        """Return the postings of the texts start … end - 1, and where each rank's list begins (ranks + 1 numbers).

        Raises:
            OverflowError: there are more than 67 million.
        """
        if end - start > _MOST_TEXTS:
            raise OverflowError(f"a segment holds {_MOST_TEXTS} texts at most, not {end - start}")
        words = np.empty((WORDS, end - start), np.uint64)
        sizes = np.empty(end - start, np.int64)
        keys = []
        for at, runs in _chunks(texts, start, end):
            there = slice(at - start, at - start + len(runs.lengths))
            words[:, there] = signatures(runs, WORDS)
            sizes[there] = runs.lengths
            keys.append(_keys(runs, at - start, ranks, bounds))
        key = np.concatenate(keys)
        del keys
        key.sort()
        places = key & _LAST_PLACE
        key >>= _PLACE_BITS
        owners = (key & (_MOST_TEXTS - 1)).astype(np.int32)
        key >>= _TEXT_BITS + _LOAD_BITS
        lists = np.searchsorted(key, np.arange(len(ranks) + 1))
        del key
        absent = tuple(np.invert(word)[owners] for word in words)
        return cls(owners, bounds.reach(sizes[owners], places), Sieve(bounds.load(sizes)[owners], absent)), lists

    def between(self, begin: int, end: int, lightest: int, heaviest: int) -> tuple[int, int]:
        """Return which part of a list has loads from lightest to heaviest."""
        loads = self.sieve.load[begin:end]
        low, high = loads.searchsorted(np.uint8(lightest)), loads.searchsorted(np.uint8(max(heaviest, 0)), "right")
        return begin + int(low), begin + int(high)


def rarest_first(texts: Texts, start: int, end: int) -> npt.NDArray[np.int32]:
    """Return the rank of every token code: how many are rarer. Code 0 is no text's."""
    counts = np.zeros(1, np.int64)
    for _, runs in _chunks(texts, start, end):
        found = np.bincount(runs.codes, minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    ranks = np.empty(len(counts), np.int32)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    return ranks


def _chunks(texts: Texts, start: int, end: int) -> Iterator[tuple[int, TokenRuns]]:
    for at in range(start, end, _CHUNK):
        yield at, texts.tokens(at, min(at + _CHUNK, end))


def _keys(runs: TokenRuns, offset: int, ranks: npt.NDArray[np.int32], bounds: Bounds) -> npt.NDArray[np.int64]:
    """Return the postings of some texts as integers that sort as lists do."""
    owners = runs.owners()
    ordered = np.sort((owners << 32) | ranks[runs.codes])
    places = np.arange(len(ordered)) - runs.starts[owners]
    listed = places < bounds.prefixes(runs.lengths)[owners]
    listed[1:] &= ordered[1:] != ordered[:-1]  # once each: where it stands first
    owners, places = owners[listed], np.minimum(places[listed], _LAST_PLACE)
    key: npt.NDArray[np.int64] = (ordered[listed] & _RANK) << _LOAD_BITS | bounds.load(runs.lengths)[owners]
    key = (key << _TEXT_BITS | (owners + offset)) << _PLACE_BITS | places
    return key  # noqa: RET504 - its type is declared above
