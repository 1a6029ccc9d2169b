"""An earlier version of the program, from the history of this repository."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

# The last commit before records named the version of their writer and values of a later version were kept. It stands
# for the previous release until there is one; then this becomes the commit of that release.
EARLIER = "2c4d92046be90c0e0ac9ee66080bd46a78de7b51"
_ROOT = Path(__file__).parents[2]
_S = 60.0


def unavailable() -> str | None:
    """Return the reason why the earlier version cannot be had, or None."""
    try:
        found = _git("cat-file", "-e", f"{EARLIER}^{{commit}}")
    except FileNotFoundError:
        return "git is not installed, and the earlier version is in the history"
    if found.returncode == 0:
        return None
    return (
        f"commit {EARLIER[:7]} is not in this repository; a clone with its whole history has it "
        "(`git fetch --unshallow`, without --depth)"
    )


def check_out(folder: Path) -> Path:
    """Write the packages of the earlier version into a folder, and return it."""
    archive = _git("archive", EARLIER, "service", "consumers", "producers")
    archive.check_returncode()
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", _ROOT, *arguments], capture_output=True, timeout=_S, check=False)
