"""Tokens of a text, as the compiled index takes them: runs of certain bytes of an encoded text.

A tokenizer that is no more than that, like the one of ROUGE, costs a microsecond a text. Any other one can join its own
tokens with a byte that is in none of them, and name that byte as the only one that separates tokens.
"""

from collections.abc import Callable

from msgspec import Struct

from service.selfinstruct.recipe import Language
from service.selfinstruct.unicode_words import SEPARATORS, separated


class Tokenizer(Struct, frozen=True):
    """A rule for the tokens of a text: the longest runs of `token_bytes` in what `encode` returns."""

    encode: Callable[[str], bytes]
    token_bytes: bytes

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text, for display and tests; the index finds them by itself."""
        kept = bytes(byte if byte in self.token_bytes else 0 for byte in range(256))
        return [
            token.decode("utf-8", "surrogatepass") for token in self.encode(text).translate(kept).split(b"\0") if token
        ]


def _words(text: str) -> bytes:
    return separated(text).encode()


def _lower(text: str) -> bytes:
    return text.lower().encode("utf-8", "surrogatepass")


# `rouge_score.tokenize.tokenize(text, None)`: every other character of a text in lower case separates tokens.
ROUGE = Tokenizer(_lower, b"abcdefghijklmnopqrstuvwxyz0123456789")
# Words of any language (`unicode_words`), between bytes that are in none of them.
UNICODE = Tokenizer(_words, bytes(byte for byte in range(256) if byte not in SEPARATORS.encode()))

# The tokens that ROUGE-L compares, by the language of the filters.
TOKENIZERS = {Language.EN: ROUGE, Language.ANY: UNICODE}
