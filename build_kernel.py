"""Compile the similarity index (service/selfinstruct/similarity/kernel) into a shared library beside it.

    python build_kernel.py

`pip install` does the same by setup.py. The compiler is `$CC`, else `cc`, else the one in the package `ziglang`. The
library uses no header of Python, so one file serves every version of it.
"""

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path("service/selfinstruct/similarity")
LIBRARY = "kernel.so"
# The package that pip fetches where there is no other compiler.
ZIG = "ziglang==0.17.1"

_HERE = Path(__file__).resolve().parent
_FLAGS = ("-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=default", "-ffp-contract=off", "-Wall", "-Wextra")
# The processors of the last fifteen years; without it counting bits takes ten instructions.
_PROCESSOR_FLAGS = {"x86_64": ("-mpopcnt",), "AMD64": ("-mpopcnt",)}


def found_compiler() -> list[str] | None:
    """Return the command of this machine's compiler, if it has one."""
    if given := os.environ.get("CC"):
        return shlex.split(given)
    found = shutil.which("cc")
    return [found] if found is not None else None


def compiler() -> list[str]:
    """Return the command of a compiler."""
    if (found := found_compiler()) is not None:
        return found
    if importlib.util.find_spec("ziglang") is None:
        sys.exit(f"the similarity index needs a C compiler: set CC, install gcc or clang, or `pip install {ZIG}`")
    # Like the others, for any processor of this kind, not for the one at hand.
    return [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


def digest(sources: Path) -> str:
    """Return a digest of the files in a folder, as the library reports it (`similarity.library`)."""
    whole = b"".join(path.read_bytes() for path in sorted(sources.glob("*.[ch]")))
    return hashlib.blake2b(whole, digest_size=8).hexdigest()


def build(target: Path, *more_flags: str) -> None:
    """Write the library to `target`, in one step."""
    sources = _HERE / PACKAGE / "kernel"
    flags = [*_FLAGS, *_PROCESSOR_FLAGS.get(platform.machine(), ()), f'-DSOURCES="{digest(sources)}"', *more_flags]
    files = sorted(map(str, sources.glob("*.c")))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kernel-") as folder:
        written = Path(folder) / LIBRARY
        caches = {f"ZIG_{which}_CACHE_DIR": folder for which in ("LOCAL", "GLOBAL")}
        subprocess.run(  # noqa: S603 - the compiler that the caller chose
            [*compiler(), *flags, "-o", str(written), *files], check=True, env={**os.environ, **caches}
        )
        written.replace(target)


def main() -> None:
    """Compile into the source tree, where an editable installation finds it."""
    build(_HERE / PACKAGE / LIBRARY, *sys.argv[1:])


if __name__ == "__main__":
    main()
