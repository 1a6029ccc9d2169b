"""A single role of a run in a process of its own, which says when it is ready. `benchmarks.growth` starts it.

    python -m benchmarks.growth_roles ROLE --broker LOG --run NAME [--stays]

It prints one line of JSON once the role is ready: the seconds and the CPU since the process began, and its peak memory.
A producer is ready when it has issued a prompt. With `--stays` it prints `standing by` first if another process leads
the role; the seconds then count from the election; and it goes on until it is killed.
"""

import argparse
import asyncio
import logging
import os
import resource
import sys
import time
from pathlib import Path

import anyio
import orjson

from benchmarks.machine import log_warnings_only
from service.bootstrap.open_broker import open_log
from service.checkpoints import Checkpoints
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.topics import PROMPTS
from service.pipeline.limits import Limits
from service.pipeline.role import Role
from service.pipeline.roles import RoleRunner, RoleState
from service.settings import Settings, load_settings

STANDING_BY = "standing by"
_LOOK_S = 0.01
# Fields of /proc/<pid>/stat after the name of the process.
_STARTED = 19


class Observed:
    """A role at work, as seen from outside."""

    def __init__(self, broker: Broker, settings: Settings, role: Role, issued: int, window: int) -> None:
        self._prompts = Partition(PROMPTS.of(settings.run), 0)
        self._broker = broker
        self._role = role
        self._issued = issued
        checkpoints = Checkpoints(settings.state_folder)
        limits = Limits(1, patience=200, drain_s=1.0, asked_window=window, checkpoints=checkpoints)
        self.runner = RoleRunner(broker, settings.run, [role], None, limits)

    @classmethod
    async def of(cls, broker: Broker, settings: Settings, role: Role) -> "Observed":
        """Return the role with a window that has room for one prompt more than there are without an answer."""
        prompts = Partition(PROMPTS.of(settings.run), 0)
        issued = await broker.end_offset(prompts, Isolation.READ_COMMITTED)
        committed = await broker.committed(f"seedstream.{settings.run}.generate", prompts)
        return cls(broker, settings, role, issued, 1 + issued - (committed.offset if committed is not None else 0))

    @property
    def state(self) -> RoleState:
        """The state of the role, for health checks."""
        return self.runner.worked.roles[self._role]

    async def elected(self) -> float:
        """Wait until the role is active; returns the time. Tells when it stands by instead."""
        told = False
        while not self.state.active:
            if self.state.standing_by and not told:
                told = True
                print(STANDING_BY, flush=True)
            await anyio.sleep(_LOOK_S)
        return time.monotonic() if told else time.monotonic() - _age_s()

    async def ready(self) -> None:
        """Wait until the role is ready."""
        while not await self._is_ready():  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(_LOOK_S)

    async def _is_ready(self) -> bool:
        if self._role is Role.PRODUCER:
            return await self._broker.end_offset(self._prompts, Isolation.READ_COMMITTED) > self._issued
        return self.state.ready


async def work(settings: Settings, role: Role, *, stays: bool) -> None:
    """Do the work of a role until it is ready, and tell."""
    async with open_log(settings) as broker:
        observed = await Observed.of(broker, settings, role)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(observed.runner.run)
            since_s = await observed.elected()
            await observed.ready()
            facts = {"ready_s": time.monotonic() - since_s, "cpu_s": time.process_time(), "rss_mib": _peak_mib()}
            print(orjson.dumps(facts).decode(), flush=True)
            if stays:
                await anyio.sleep_forever()
            tasks.cancel_scope.cancel()


def _age_s() -> float:
    """Return the seconds since this process began."""
    began_ticks = int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[_STARTED])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began_ticks / os.sysconf("SC_CLK_TCK")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Work as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", type=Role)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--stays", action="store_true")
    given = parser.parse_args(sys.argv[1:])
    log_warnings_only()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a leader is killed on purpose
    settings = load_settings({"broker": given.broker, "run": given.run, "lm": "simulator"})
    asyncio.run(work(settings, given.role, stays=given.stays))


if __name__ == "__main__":
    main()
