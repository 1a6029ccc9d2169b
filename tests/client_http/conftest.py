"""Fixtures of the HTTP client."""

from tests.web.conftest import tokens

__all__ = ["tokens"]
