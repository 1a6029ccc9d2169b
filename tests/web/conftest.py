"""Fixtures of the live service."""

from pathlib import Path

import pytest

from tests.web.service import TOKENS


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """Return a file with a token of each scope."""
    path = tmp_path / "tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return path
