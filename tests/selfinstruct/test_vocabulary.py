from service.selfinstruct.similarity.vocabulary import UNKNOWN, Vocabulary


def test_every_token_has_its_own_character_and_no_surrogate() -> None:
    tokens = [str(number) for number in range(70_000)]
    encoded = Vocabulary().learn(tokens)
    assert len(encoded) == len(set(encoded)) == len(tokens)
    assert UNKNOWN not in encoded
    assert not any("\ud800" <= character <= "\udfff" for character in encoded)


def test_a_token_keeps_its_character() -> None:
    vocabulary = Vocabulary()
    assert vocabulary.learn(["a", "b", "a"]) == vocabulary.learn(["a", "b", "a"]) == vocabulary.encode(["a", "b", "a"])


def test_encoding_adds_no_token() -> None:
    vocabulary = Vocabulary()
    known = vocabulary.learn(["a"])
    assert vocabulary.encode(["x", "a", "y"]) == UNKNOWN + known + UNKNOWN
    assert len(vocabulary) == 1
