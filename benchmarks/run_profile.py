"""The time of a run's event loop by part, from `cProfile`, which inflates the cost of Python's own calls.

    python -m benchmarks.run_profile                # Alpaca at 0 ms, 128 calls in flight
    python -m benchmarks.run_profile --prompts 500

It sees the main thread alone. `benchmarks.throughput` says how much CPU the other threads take.
"""

import argparse
import marshal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.throughput import CASES, run_command, stub

_ROOT = Path(__file__).parents[1]
_CASE = next(case for case in CASES if case.name == "alpaca-0ms")
_BUILT_IN = "~"
_REST = "the rest"
# The first part with a fragment of the function's file takes its time.
_PARTS = {
    "imports": ("importlib", "<frozen", "enum.py", "typing.py", "dataclasses.py", "typer/", "pydantic_settings"),
    "records: decoding, encoding, headers": (
        "messaging/codec",
        "messaging/messages",
        "messaging/unknown_fields",
        "pydantic",
        "msgspec",
    ),
    "reading and appending to the log": (
        "adapters/sqlite",
        "adapters/partitioning",
        "aiokafka",
        "service/messaging/",
        "service/checkpoints/",
    ),
    "HTTP": ("aiohttp", "yarl", "multidict", "adapters/openai"),
    "dispatch of calls": ("service/lm/",),
    "prompts, parsing of replies": ("service/selfinstruct/",),
    "stages": ("consumers/", "producers/", "service/runtime/", "service/pool/", "service/pipeline/"),
    "panel, bill, output": ("service/run/", "service/billing/", "service/cli/", "service/client/", "containers.py"),
    "asyncio, anyio": ("asyncio/", "anyio/", "selectors.py", "threading.py", "queue.py", "contextvars"),
}

Function = tuple[str, int, str]
# calls without recursion, all calls, own time, time with callees, the same by caller
Stats = Mapping[Function, tuple[int, int, float, float, Mapping[Function, tuple[int, int, float, float]]]]


def shares(stats: Stats) -> dict[str, float]:
    """Return the share of each part in the time of all functions; a built-in function counts for its callers."""
    taken: defaultdict[str, float] = defaultdict(float)
    for part, seconds in _by_part(stats):
        taken[part] += seconds
    whole = sum(taken.values())
    return {part: taken[part] / whole for part in sorted(taken, key=taken.__getitem__, reverse=True)}


def _by_part(stats: Stats) -> Iterator[tuple[str, float]]:
    for (file, _, name), timed in stats.items():
        if file != _BUILT_IN:
            yield _part(file), timed[2]
        elif "select." not in name:  # the loop waits there
            for (caller, _, _), called in timed[4].items():
                yield _part(caller), called[2]


def _part(file: str) -> str:
    return next((part for part, known in _PARTS.items() if any(each in file for each in known)), _REST)


def profile(prompts: int) -> dict[str, float]:
    """Run the pipeline under the profiler, and return the shares."""
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as name, stub(0.0, prompts, "alpaca") as url:
        folder = Path(name)
        python, *program = run_command(_CASE, url, prompts, folder)
        command = [python, "-m", "cProfile", "-o", str(folder / "profile"), *program]
        with (folder / "stderr").open("wb") as err:
            subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=err, check=False)  # noqa: S603 - ours
        return shares(marshal.loads((folder / "profile").read_bytes()))  # noqa: S302 - written by our own process


def table(found: Mapping[str, float]) -> str:
    """Return the shares as a table, the largest first."""
    rows = "\n".join(f"| {part} | {share:.0%} |" for part, share in found.items())
    return f"| of the event loop's time | share |\n|---|---:|\n{rows}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=_CASE.prompts)
    given = parser.parse_args(sys.argv[1:])
    print(table(profile(given.prompts)))


if __name__ == "__main__":
    main()
