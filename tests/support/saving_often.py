"""The program with checkpoints after a few records instead of many, so that a short run writes them all the time."""

from pathlib import Path

_CODE = Path(__file__).parents[2]
_PATCH = """
from service.checkpoints import writer

writer._RECORDS, writer._PAUSE_S, writer._SHARE = 20, 0.05, 1.0
"""


def code_that_saves_often(folder: Path) -> Path:
    """Return a folder of code that differs from this one in nothing else."""
    code = folder / "saving_often"
    code.mkdir()
    for package in ("service", "consumers", "producers"):
        (code / package).symlink_to(_CODE / package)
    (code / "sitecustomize.py").write_text(_PATCH)
    return code
