"""The distribution holds every package and every file that the code reads."""

import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_TABLE = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
# Sources of the compiled index; the distribution has the library that is made of them.
_NOT_SHIPPED = "service/selfinstruct/similarity/kernel/"


def tracked(*suffixes: str) -> list[Path]:
    """Return the files of the packages under version control that end so, or with anything but `.py`."""
    listed = subprocess.run(
        ["git", "ls-files", "service", "consumers", "producers"], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    paths = [Path(line) for line in listed.stdout.splitlines() if not line.startswith(_NOT_SHIPPED)]
    return [path for path in paths if (path.name in suffixes if suffixes else path.suffix != ".py")]


def test_every_package_is_in_the_distribution() -> None:
    assert {".".join(path.parent.parts) for path in tracked("__init__.py")} == set(_TABLE["packages"])


def test_every_file_beside_the_code_is_in_the_distribution() -> None:
    shipped = [
        "/".join((*package.split("."), pattern)) for package, each in _TABLE["package-data"].items() for pattern in each
    ]
    assert [str(path) for path in tracked() if not any(fnmatch(str(path), pattern) for pattern in shipped)] == []
