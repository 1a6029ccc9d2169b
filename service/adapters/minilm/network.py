"""The network of all-MiniLM-L6-v2: a BERT of 6 layers with mean pooling, in float32 on numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_LAYERS, _HEADS = 6, 12
_EPSILON = np.float32(1e-12)
_ROOT_HALF = np.float32(np.sqrt(0.5))
# Tokens per block of `_gelu`: their activations of the inner layer fit in the CPU's cache.
_ROWS = 16
# Coefficients of Abramowitz and Stegun, 7.1.26: the error function to 1.5e-7.
_ERF_STEP = np.float32(0.3275911)
_ERF_TERMS = tuple(map(np.float32, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)))


@dataclass(frozen=True, slots=True)
class _Linear:
    """A linear layer. `weight` has a row for each input: products with few tokens then take two thirds of the time."""

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        return x @ self.weight + self.bias


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        x = x - x.mean(axis=-1, keepdims=True)
        scale: Floats = 1 / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + _EPSILON)
        return x * scale * self.weight + self.bias


@dataclass(frozen=True, slots=True)
class _Layer:
    """A BERT layer: self-attention, then a feed-forward network, each with a residual connection and layer norm."""

    attention: _Linear
    mixed: _Linear
    attention_norm: _Norm
    inner: _Linear
    outer: _Linear
    norm: _Norm

    def __call__(self, x: Floats) -> Floats:
        x = self.attention_norm(self.mixed(_attended(self.attention(x))) + x)
        return self.norm(self.outer(_gelu(self.inner(x))) + x)


class Network:
    """The network with its weights.

    Args:
        weights: tensors by their names in the model's file.

    Raises:
        KeyError: a tensor is missing.
    """

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._words = weights["embeddings.word_embeddings.weight"]
        self._places = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _norm(weights, "embeddings.LayerNorm")
        self._layers = [_layer(weights, f"encoder.layer.{number}.") for number in range(_LAYERS)]

    def __call__(self, numbers: Sequence[int]) -> Floats:
        """Return the embedding of one text, given as at most 512 word-piece ids: a vector of Euclidean length 1."""
        x = self._norm(self._words[np.asarray(numbers)] + self._places[: len(numbers)])
        for layer in self._layers:
            x = layer(x)
        mean: Floats = x.mean(axis=0)
        return mean / np.float32(np.linalg.norm(mean))


def _attended(qkv: Floats) -> Floats:
    """Compute multi-head self-attention. `qkv` has a row for each token: its query, key and value, for all heads."""
    tokens, width = len(qkv), qkv.shape[1] // 3
    query, key, value = qkv.reshape(tokens, 3, _HEADS, width // _HEADS).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) * np.float32((width // _HEADS) ** -0.5)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed: Floats = (shares @ value).transpose(1, 0, 2).reshape(tokens, width)
    return mixed


def _gelu(x: Floats) -> Floats:
    """Replace x by GELU(x) = x Φ(x) in place. The model was trained with this form, so a simpler one will not do.

    With t = |x| (1 - Φ(|x|)), the result is x - t for positive x, and -t otherwise.
    """
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        size = np.abs(rows)
        step = 1 / (1 + size * (_ERF_STEP * _ROOT_HALF))
        tail = step * _ERF_TERMS[0]
        for term in _ERF_TERMS[1:]:
            tail += term
            tail *= step
        tail *= np.exp(np.square(size, out=step) * np.float32(-0.5))
        tail *= size * np.float32(0.5)
        np.maximum(rows, 0, out=rows)
        rows -= tail
    return x


def _layer(weights: Mapping[str, Floats], at: str) -> _Layer:
    parts = [_linear(weights, f"{at}attention.self.{part}") for part in ("query", "key", "value")]
    return _Layer(
        attention=_Linear(
            np.concatenate([part.weight for part in parts], axis=1), np.concatenate([part.bias for part in parts])
        ),
        mixed=_linear(weights, f"{at}attention.output.dense"),
        attention_norm=_norm(weights, f"{at}attention.output.LayerNorm"),
        inner=_linear(weights, f"{at}intermediate.dense"),
        outer=_linear(weights, f"{at}output.dense"),
        norm=_norm(weights, f"{at}output.LayerNorm"),
    )


def _linear(weights: Mapping[str, Floats], name: str) -> _Linear:
    return _Linear(np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"])


def _norm(weights: Mapping[str, Floats], name: str) -> _Norm:
    return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])
