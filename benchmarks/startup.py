"""CPU time and memory of commands on a small run, beside those of an interpreter that does nothing.

    python -m benchmarks.startup

Each command runs `REPEATS` times in a process of its own, and the best time counts: the noise of a shared machine only
adds. The modules are compiled, as they are in an image. Compare the multiples of `import typer` in the same run.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

REPEATS = 7
_TASKS = "20"
_BASE = ("-c", "import typer")
_COMMANDS = (
    "--version",
    "--help",
    "run --help",
    "config",
    "status",
    "status --json",
    "watch",
    "cost",
    "explain p0",
    "export",
    "consume --until-end",
    "goal --target 20",
    "seeds add seeds.jsonl",
    "replay",
    "check --lm simulator",
    "run --lm simulator",
    "topics acls --broker kafka://localhost:9092",
)


def spent(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run Python once. Return its CPU seconds and its peak of memory in MB."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def best(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Return the least CPU seconds of `REPEATS` runs after a first one, and the memory of the last."""
    spent(arguments, folder, environment)  # compiles the modules
    found = [spent(arguments, folder, environment) for _ in range(REPEATS)]
    return min(cpu_s for cpu_s, _ in found), found[-1][1]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name:
        folder = Path(name)
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}  # noqa: TID251
        environment = kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONPATH": str(Path.cwd())}
        seeds = Path("service/resources/seed_tasks.jsonl").read_bytes()
        (folder / "seeds.jsonl").write_bytes(seeds)
        spent(("-m", "service", "run", "--lm", "simulator", "--target", _TASKS), folder, environment)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; the least of {REPEATS} runs each")
        print(f"{'command':45}{'CPU s':>8}{'x typer':>9}{'MB':>7}")
        base_s, _ = best(_BASE, folder, environment)
        for arguments in (("-c", "pass"), _BASE, *(("-m", "service", *each.split()) for each in _COMMANDS)):
            cpu_s, peak_mb = best(arguments, folder, environment)
            label = " ".join(arguments).removeprefix("-m service ")
            print(f"{label:45}{cpu_s:8.3f}{cpu_s / base_s:9.1f}{peak_mb:7.0f}", flush=True)


if __name__ == "__main__":
    main()
