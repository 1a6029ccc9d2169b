"""A process that is really killed, in the middle of a call, pays for nothing twice."""

import sys
from subprocess import DEVNULL

import anyio
import pytest

from tests.adapters.openai_batch.batches import Hold, ask, batch_api, completions, endpoint_at, prompts

pytestmark = [pytest.mark.anyio, pytest.mark.kill]

ASKED = 10
PROGRAM = f"""
import sys, anyio
from tests.adapters.openai_batch.batches import BatchApi, ask, endpoint_at, prompts
from service.simulator import Simulator, SimulatorOptions

async def main():
    async with endpoint_at(BatchApi(Simulator(SimulatorOptions()), sys.argv[1])) as endpoint:
        await ask(endpoint, prompts({ASKED}))

anyio.run(main)
"""
HOLDS = [
    Hold("POST /v1/files", is_done=True),
    Hold("POST /v1/batches", is_done=True),
    Hold("GET /v1/files/.+/content", is_done=False),
]


@pytest.mark.parametrize("hold", HOLDS, ids=lambda hold: hold.call)
async def test_killed_in_a_call_each_question_is_paid_once(hold: Hold) -> None:
    async with batch_api() as api:
        api.troubles.append(hold)
        with anyio.fail_after(30):
            async with await anyio.open_process(
                [sys.executable, "-c", PROGRAM, api.url], stdin=DEVNULL, stdout=DEVNULL, stderr=None
            ) as process:
                await hold.reached.wait()
                process.kill()
        hold.released.set()
        async with endpoint_at(api) as endpoint:
            completions(await ask(endpoint, prompts(ASKED)))
    assert len(api.asked) == ASKED
    assert set(api.asked.values()) == {1}
