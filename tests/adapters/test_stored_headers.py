"""Headers in a row of the embedded log: what a search in the bytes finds is what parsing finds."""

from hypothesis import given
from hypothesis import strategies as st

from service.adapters.sqlite.stored_headers import StoredHeaders, dump
from service.messaging.broker import FirstHeaders
from service.messaging.codec import header

_NAMES = st.sampled_from(["ce_type", "name", '"', "\\", "ce_type\\", "é", "", "\x00"])
_VALUES = st.one_of(
    st.none(),
    st.binary(max_size=8),
    st.sampled_from([b'"],["ce_type","fake"', b'["ce_type","', b"\\", b'\\"', b"io.x"]),
)
_HEADERS = st.lists(st.tuples(_NAMES, _VALUES), max_size=6).map(tuple)


@given(_HEADERS, _NAMES)
def test_a_stored_header_is_found_as_in_the_original(headers: tuple[tuple[str, bytes | None], ...], name: str) -> None:
    stored = StoredHeaders(dump(headers))
    assert header(stored, name) == header(headers, name)
    assert (tuple(stored), len(stored), stored[:2]) == (headers, len(headers), headers[:2])
    assert {stored} == {headers}


@given(_HEADERS, _HEADERS)
def test_first_headers_are_those_of_the_original(
    headers: tuple[tuple[str, bytes | None], ...], others: tuple[tuple[str, bytes | None], ...]
) -> None:
    stored = StoredHeaders(dump(headers))
    for first in (headers, headers[:1], others):
        assert FirstHeaders(first).are_of(stored) == FirstHeaders(first).are_of(headers)
    assert FirstHeaders(headers[:2]).are_of(stored)
