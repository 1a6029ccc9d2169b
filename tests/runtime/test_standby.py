"""A stage with memory that stands by follows the results of the active instance, and takes over at once."""

import anyio
import pytest

from consumers.admit import Admit
from service.messaging import topics
from service.messaging.broker import Broker
from service.pool.batch import Input
from service.runtime.leader_election import LeaderElection
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage
from tests.fakes.stalled_broker import PatientBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, follow, read, send, work_off

pytestmark = pytest.mark.anyio


async def stand_later(election: LeaderElection) -> None:
    """Be a candidate once the worker waits for results."""
    await anyio.wait_all_tasks_blocked()
    await election.stand()


def admitting(broker: Broker, election: LeaderElection | None = None) -> TransactionalWorker[Input]:
    return TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN, election)


async def test_an_election_ends_the_wait_for_results(open_broker: OpenBroker) -> None:
    drain, ready = anyio.Event(), anyio.Event()
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.seed(0))
        await work_off(admitting(broker))
        await send(broker, examples.answer(0, "Name three rivers that flow through Europe"))
        election, patient = LeaderElection(broker, RUN, "admit"), PatientBroker(broker, Breakage.BEFORE, commits_left=1)
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(admitting(patient, election).run, drain, ready)
                tasks.start_soon(stand_later, election)
                await ready.wait()
                await follow(broker, topics.DECISIONS, 1)
                drain.set()
                tasks.cancel_scope.cancel()
        assert [task.id for task in await read(broker, topics.POOL)] == ["s0", "p0.0"]
