"""Postings: the texts that hold a token, stored with the load and signature that rule most of them out."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.posting_lists import Keys, PostingLists, keys
from service.selfinstruct.similarity.signature_filter import SignatureFilter
from service.selfinstruct.similarity.token_store import TokenRuns, TokenStore

# Postings are sorted as one integer, `posting_lists.keys` and text: 60 bits hold a full vocabulary.
_TEXT_BITS = 26
_MOST_TEXTS = 1 << _TEXT_BITS
_RANK = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Postings:
    """Parallel arrays of postings, in the order of the lists."""

    lists: PostingLists
    texts: npt.NDArray[np.int32]
    """Text of each posting, counted from the segment's start."""
    signature_filter: SignatureFilter

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return self.texts.nbytes + self.signature_filter.nbytes + self.lists.nbytes

    @classmethod
    def build(
        cls,
        texts: TokenStore,
        signature_filter: SignatureFilter,
        start: int,
        ranks: npt.NDArray[np.int32],
        bounds: Bounds,
    ) -> Self:
        """Return the postings of the texts of one segment.

        Args:
            texts: all texts of the index.
            signature_filter: one row for each text of the segment.
            start: the position of the segment's first text.
            ranks: the rank of each token code.
            bounds: the bounds for the threshold.

        Raises:
            OverflowError: the segment has more than 67 million texts.
        """
        count = len(signature_filter.load)
        if count > _MOST_TEXTS:
            raise OverflowError(f"a segment holds {_MOST_TEXTS} texts at most, not {count}")
        chunks = texts.chunks(start, start + count)
        key = np.concatenate([_keys(runs, at - start, ranks, bounds) for at, runs in chunks])
        key.sort()
        owners = (key & (_MOST_TEXTS - 1)).astype(np.int32)
        key >>= _TEXT_BITS
        lists = PostingLists.build(key, len(ranks))
        del key
        return cls(
            lists,
            owners,
            SignatureFilter(signature_filter.load[owners], tuple(word[owners] for word in signature_filter.absent)),
        )


def rarest_first(texts: TokenStore, start: int, end: int) -> npt.NDArray[np.int32]:
    """Return the rank of every token code, from 0 for the rarest in texts start … end - 1. No text has code 0."""
    counts = np.zeros(1, np.int64)
    for _, runs in texts.chunks(start, end):
        found = np.bincount(runs.codes, minlength=len(counts))
        found[: len(counts)] += counts
        counts = found
    ranks = np.empty(len(counts), np.int32)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    return ranks


def _keys(runs: TokenRuns, offset: int, ranks: npt.NDArray[np.int32], bounds: Bounds) -> Keys:
    """Return the postings of some texts as sort keys; `offset` is added to the numbers of the texts."""
    owners = runs.owners()
    ordered = np.sort((owners << 32) | ranks[runs.codes])
    places = np.arange(len(ordered)) - runs.starts[owners]
    listed = places < bounds.prefixes(runs.lengths)[owners]
    listed[1:] &= ordered[1:] != ordered[:-1]  # one posting per token and text, at its first place
    owners, places = owners[listed], places[listed]
    lengths = runs.lengths[owners]
    key = keys(ordered[listed] & _RANK, bounds.load(lengths), bounds.reach(lengths, places))
    return key << _TEXT_BITS | (owners + offset)
