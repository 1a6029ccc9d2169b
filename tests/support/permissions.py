"""Folders and files without permissions, seen by a user that is not root."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Create a folder that other users can reach, and delete it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="seedstream-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Take the write permission of a folder away, and be another user than root."""
    folder.chmod(0o555)
    try:
        with not_root():
            with pytest.raises(PermissionError):
                (folder / "new").touch()
            yield
    finally:
        folder.chmod(0o755)


@contextmanager
def not_root() -> Iterator[None]:
    """Be another user than root."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)
