"""Which text of a pool is nearest to a new one by ROUGE-L: exact, bit-equal with `rouge_score`, and fast at a million.

`index` is the way in. A question goes through `segments` (inverted lists of old texts) and the `traits` of new ones,
which name the few texts that `bounds` cannot rule out; only those are compared, in `rouge`.
"""

from service.selfinstruct.similarity.index import Overlay, SimilarityIndex
from service.selfinstruct.similarity.rouge import Match, Survey, rouge_l, tokenize

__all__ = ["Match", "Overlay", "SimilarityIndex", "Survey", "rouge_l", "tokenize"]
