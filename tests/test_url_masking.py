"""Credentials in URLs are never shown."""

import pytest

from service.url_masking import masked


@pytest.mark.parametrize(
    ("urls", "shown"),
    [
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://user:secret@host/v1", "https://***@host/v1"),
        ("https://secret@host/v1", "https://***@host/v1"),
        ("https://u:se/cr@et@host/v1", "https://***@host/v1"),
        ("https://u:se,cret@host/v1", "https://***@host/v1"),
        ("http://a/v1, http://u:secret@b/v1,http://c/v1", "http://a/v1, http://***@b/v1,http://c/v1"),
        ("u:secret@host/v1", "***@host/v1"),
        ("http:/u:secret@host/v1", "http:/***@host/v1"),
        ("kafka://u:secret@host:9092", "kafka://***@host:9092"),
    ],
)
def test_user_name_and_password_are_masked(urls: str, shown: str) -> None:
    assert masked(urls) == shown
