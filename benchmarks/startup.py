"""CPU time and memory of commands on a small run, beside those of an interpreter that does nothing.

    python -m benchmarks.startup

Each command runs `REPEATS` times in a process of its own, and the best time counts: the noise of a shared machine only
adds. The modules are compiled, as they are in an image. Compare the multiples of `import typer` in the same run. The
last lines are those of commands that ask a model on a server, and of a new run until its first request.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.throughput import stub

REPEATS = 7
_TASKS = "20"
_BASE = ("-c", "import typer")
_ON_SERVER = ("--lm-api", "completions", "--form", "text", "--model", "stub", "--lm-url")
_DEADLINE_S = 60.0
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


def _started(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start Python, without input and output."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def spent(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run Python once. Return its CPU seconds and its peak of memory in MB."""
    with _started(arguments, folder, environment) as process:
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


class _Model(BaseHTTPRequestHandler):
    """Lists a model, and takes requests for completions without an answer."""

    protocol_version = "HTTP/1.1"
    asked = threading.Event()

    def do_GET(self) -> None:
        body = b'{"object": "list", "data": [{"id": "stub"}]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.asked.set()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def until_first_request(environment: Mapping[str, str]) -> tuple[float, float]:
    """Start a new run, stop it at its first request to a model, and return its CPU seconds and its memory."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        _Model.asked.clear()
        with _started(["-m", "service", "run", *_ON_SERVER, url], Path(folder), environment) as process:
            if not _Model.asked.wait(_DEADLINE_S):
                raise RuntimeError("a run made no request")
            cpu_s = time.clock_gettime(~process.pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names
            process.kill()
            _, _, used = os.wait4(process.pid, 0)
            process.returncode = 0
        server.shutdown()
    return cpu_s, used.ru_maxrss / 1024


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

        def show(label: str, cpu_s: float, peak_mb: float) -> None:
            print(f"{label:45}{cpu_s:8.3f}{cpu_s / base_s:9.1f}{peak_mb:7.0f}", flush=True)

        for arguments in (("-c", "pass"), _BASE, *(("-m", "service", *each.split()) for each in _COMMANDS)):
            show(" ".join(arguments).removeprefix("-m service "), *best(arguments, folder, environment))
        with stub(0.0, 100, "tasks", "instances", "verdict") as url:
            show("check, with a server", *best(("-m", "service", "check", *_ON_SERVER, url), folder, environment))
        show("run, to its first request", *min(until_first_request(environment) for _ in range(REPEATS)))


if __name__ == "__main__":
    main()
