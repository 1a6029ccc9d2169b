"""HTTP server for a worker's liveness, readiness and Prometheus metrics."""

from collections.abc import Iterable
from contextlib import AsyncExitStack

import anyio
from aiohttp import web
from anyio.abc import TaskStatus
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.errors import ConfigurationError
from service.http_server import serving
from service.pipeline.roles import Worked
from service.pipeline.stall import StallWatch
from service.telemetry.lm_metrics import model_numbers
from service.telemetry.screening_metrics import hint_numbers, screen_numbers
from service.telemetry.stall_metrics import stall_numbers


class _Numbers(Collector):
    """Collector that reads the worker's state at each scrape and keeps no copy."""

    def __init__(self, worked: Worked, watch: StallWatch) -> None:
        self._worked = worked
        self._watch = watch

    def collect(self) -> Iterable[Metric]:
        """Yield the current metrics of all roles and of the calls to the models."""
        active = GaugeMetricFamily("seedstream_role_active", "1 where this process does the work.", labels=["role"])
        ready = GaugeMetricFamily("seedstream_role_ready", "1 once the role has begun its work.", labels=["role"])
        for role, state in self._worked.roles.items():
            active.add_metric([role], float(state.active))
            ready.add_metric([role], float(state.ready))
        yield active
        yield ready
        if self._watch.is_known:
            yield stall_numbers(self._watch.stall, self._worked)
        yield self._duplicates()
        yield from self._hints()
        if dispatchers := self._worked.each_dispatcher:
            yield from model_numbers(dispatchers)

    def _hints(self) -> Iterable[Metric]:
        for state in self._worked.roles.values():
            if state.hints is not None:
                yield from hint_numbers(state.hints)
            if state.screening is not None:
                yield screen_numbers(state.screening)

    def _duplicates(self) -> Metric:
        repeated = CounterMetricFamily(
            "seedstream_lm_duplicate_calls",
            "Calls for something that had been answered already, as admit and finish find them; `status` counts all.",
            labels=["role"],
        )
        for role, state in self._worked.roles.items():
            if state.worker is not None:
                repeated.add_metric([role], float(state.worker.repeated))
        return repeated


def _readiness(worked: Worked) -> tuple[int, str]:
    """Return the status and body of `/readyz`: whether each role works or stands by, and the state of the model.

    The model's state does not change the status: an outage of the model must not block a rolling update.
    """
    missing = [str(role) for role, state in worked.roles.items() if not (state.ready or state.standing_by)]
    text = f"not ready: {', '.join(missing)}\n" if missing else "ok\n"
    refusals = [refusal for each in worked.each_dispatcher if (refusal := each.refusal) is not None]
    text += "".join(f"the language model takes no calls: {refusal}\n" for refusal in refusals)
    return 503 if missing else 200, text


async def serve_operations(
    worked: Worked,
    watch: StallWatch,
    host: str,
    port: int,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer `/healthz`, `/readyz` and `/metrics` until cancelled.

    Raises:
        ConfigurationError: the address is in use or does not belong to this machine.
    """
    registry = CollectorRegistry()
    registry.register(_Numbers(worked, watch))

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        status, text = _readiness(worked)
        return web.Response(text=text, status=status)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving(app, host, port))
        except OSError as error:
            raise ConfigurationError(f"--http-port: cannot listen on {host}:{port}: {error.strerror}") from error
        task_status.started()
        await anyio.sleep_forever()
