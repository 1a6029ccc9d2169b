"""Health and metrics of a worker, as a probe and Prometheus read them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import ClientSession

from service.lm.dispatch import Dispatcher
from service.lm.dispatch.fleet_share import NOTHING, FleetLimits
from service.lm.errors import Refused
from service.pipeline.role import Role
from service.pipeline.roles import RoleState, Worked
from service.pipeline.stall import Stall, StallWatch
from service.selfinstruct.model_input import ModelInput
from service.telemetry.health_server import serve_operations
from service.telemetry.stall_metrics import stall_numbers
from tests.conftest import OpenBroker
from tests.kafka.http import free_port
from tests.lm.dispatch.endpoints import SAMPLING, ScriptedEndpoint, over, refused, until
from tests.support.logs import RUN

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def refusing() -> AsyncIterator[Dispatcher]:
    """Open a dispatcher whose only server has refused its key."""
    endpoint = ScriptedEndpoint(otherwise=lambda: refused(Refused.CREDENTIALS))
    async with over(endpoint).running() as dispatcher, anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.complete, ModelInput("a prompt"), SAMPLING)
        await until(lambda: dispatcher.refusal is not None)
        yield dispatcher
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def served(worked: Worked, watch: StallWatch) -> AsyncIterator[ClientSession]:
    port = free_port()
    async with ClientSession(f"http://127.0.0.1:{port}") as session, anyio.create_task_group() as tasks:
        await tasks.start(serve_operations, worked, watch, "127.0.0.1", port)
        yield session
        tasks.cancel_scope.cancel()


async def page(session: ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as response:
        return response.status, await response.text()


def stalled(stall: Stall, worked: Worked) -> Mapping[str, float]:
    return {sample.labels["waiting_for"]: sample.value for sample in stall_numbers(stall, worked).samples}


async def test_a_refusing_model_does_not_make_a_worker_unready(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, refusing() as dispatcher:
        state = RoleState()
        watch = StallWatch(broker, RUN)
        async with served(Worked({Role.GENERATE: state}, {Role.GENERATE: dispatcher}), watch) as session:
            status, text = await page(session, "/readyz")
            assert (status, "not ready: generate\n" in text) == (503, True)
            state.ready = True
            status, text = await page(session, "/readyz")
            assert (status, text.splitlines()[0]) == (200, "ok")
            assert "the language model takes no calls: Refused for" in text
            metrics = (await page(session, "/metrics"))[1]
            assert 'seedstream_lm_open{endpoint="scripted"} 0.0' in metrics
            assert 'seedstream_stalled{waiting_for="none"} 0.0' in metrics
            watch.is_known = False
            assert "seedstream_stalled{" not in (await page(session, "/metrics"))[1]


async def test_a_stall_is_told_by_what_it_waits_for() -> None:
    stall = Stall(75.0, {Role.GENERATE: 3, Role.FINISH: 1})
    mine = {Role.GENERATE: RoleState(ready=True)}
    assert stalled(Stall(), Worked(mine)) == {"none": 0.0}
    assert stalled(stall, Worked({})) == {"generate": 75.0, "finish": 75.0}
    working = over(ScriptedEndpoint())
    assert stalled(stall, Worked(mine, {Role.GENERATE: working})) == {"generate": 75.0, "finish": 75.0}
    working.restrict(FleetLimits(max_in_flight=1), NOTHING)
    assert stalled(stall, Worked(mine, {Role.GENERATE: working})) == {"leases": 75.0, "finish": 75.0}
    async with refusing() as dispatcher:
        assert stalled(stall, Worked(mine, {Role.GENERATE: dispatcher})) == {"model": 75.0, "finish": 75.0}


async def test_each_model_of_a_worker_is_told_of(open_broker: OpenBroker) -> None:
    """Two roles ask one model, which works, and a third asks another, which refuses."""
    async with open_broker() as broker, refusing() as other:
        working = over(ScriptedEndpoint(name="working"))
        roles = {role: RoleState(ready=True) for role in (Role.GENERATE, Role.CLASSIFY, Role.INSTANCES)}
        asked = {Role.GENERATE: working, Role.CLASSIFY: working, Role.INSTANCES: other}
        async with served(Worked(roles, asked), StallWatch(broker, RUN)) as session:
            status, text = await page(session, "/readyz")
            assert (status, text.count("the language model takes no calls: Refused for")) == (200, 1)
            metrics = (await page(session, "/metrics"))[1]
            assert 'seedstream_lm_open{endpoint="working"} 1.0' in metrics
            assert 'seedstream_lm_open{endpoint="scripted"} 0.0' in metrics
            assert metrics.count("\nseedstream_lm_inflight ") == 1
        waiting = {Role.GENERATE: 1, Role.INSTANCES: 1}
        assert stalled(Stall(9.0, waiting), Worked(roles, asked)) == {"generate": 9.0, "model": 9.0}
