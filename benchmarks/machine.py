"""The environment of benchmarks on Kafka: a broker, child processes, and the CPU time of each process."""

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from tests.kafka.cluster import Cluster

CORES = os.cpu_count() or 1
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STOP_S = 90.0
# Fields of /proc/<pid>/stat after the name of the process, and of the first line of /proc/stat.
_USER, _SYSTEM = 11, 12
_IDLE, _IO_WAIT = 3, 4
_COUNTED = 8


@contextmanager
def kafka() -> Iterator[Cluster]:
    """Run one broker with its data in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as folder, Cluster.start(Path(folder)) as cluster:
        yield cluster


def pid_of_broker(cluster: Cluster) -> int:
    """Return the process id of the only broker."""
    (file,) = cluster.folder.glob("node-*/pid")
    return int(file.read_text())


@contextmanager
def seedstream(folder: Path, *arguments: str) -> Iterator[int]:
    """Run the program as a child process, with its log in `folder`. Yields its process id, and ends it with SIGTERM."""
    log = folder / f"{'-'.join(arguments[:2])}-{len(list(folder.iterdir()))}.log"
    command = [sys.executable, "-m", "service", *arguments]
    with (
        log.open("wb") as err,
        subprocess.Popen(command, cwd=folder, stderr=err, stdin=subprocess.DEVNULL) as process,  # noqa: S603 - ours
    ):
        try:
            yield process.pid
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(arguments)}: ended with {process.returncode}: {log.read_text()[-2000:]}")
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def simulator(*options: str) -> Iterator[tuple[str, int]]:
    """Run the simulator in another process. Yields its base URL and its process id."""
    command = [sys.executable, "-m", "service", "simulator", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        if process.stderr is None:
            raise AssertionError
        try:
            yield process.stderr.readline().split()[-1], process.pid
        finally:
            process.terminate()


def cpu_s(pids: Sequence[int]) -> float:
    """Return the CPU seconds that the processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[_USER]) + int(fields[_SYSTEM])
    return ticks * _TICK_S


def machine_cpu_s() -> float:
    """Return the CPU seconds that the whole machine has been busy so far, including those stolen by its host."""
    counted = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1 : 1 + _COUNTED]]
    return (sum(counted) - counted[_IDLE] - counted[_IO_WAIT]) * _TICK_S


def load() -> str:
    """Return the load of the whole machine."""
    return f"{CORES} cores, load {os.getloadavg()[0]:.1f}"


def log_warnings_only() -> None:
    """Keep log lines below warnings out of the tables."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
