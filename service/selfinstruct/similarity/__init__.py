"""Nearest-neighbour search by ROUGE-L: exact, bit-equal with `rouge_score`, and fast for a million texts.

`index` is the entry point. A query reads the inverted lists of older texts (`segments`) and the signatures of newer
texts (`text_signatures`). Both return the few texts that `bounds` cannot rule out, and `rouge` scores only those.
"""

from service.selfinstruct.similarity.index import Overlay, SimilarityIndex
from service.selfinstruct.similarity.rouge import FullScan, Match, Text, Tokenized, rouge_l, tokenize, tokenized

__all__ = ["FullScan", "Match", "Overlay", "SimilarityIndex", "Text", "Tokenized", "rouge_l", "tokenize", "tokenized"]
