"""Nearest-neighbour search by ROUGE-L: exact, bit-equal with `rouge_score`, and fast for a million texts.

`index` is the entry point. It hands texts to a library in C (`kernel/`, built by `build_kernel.py`), which is called
through `library`.
"""

from service.selfinstruct.similarity.index import Encoded, Overlay, SimilarityIndex
from service.selfinstruct.similarity.scores import FullScan, Match
from service.selfinstruct.similarity.tokens import ROUGE, TOKENIZERS, UNICODE, Tokenizer

__all__ = [
    "ROUGE",
    "TOKENIZERS",
    "UNICODE",
    "Encoded",
    "FullScan",
    "Match",
    "Overlay",
    "SimilarityIndex",
    "Tokenizer",
]
