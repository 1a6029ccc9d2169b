import pytest

from benchmarks.grown_log import ACCEPTED, new_run, write_log
from consumers.admit import Admit
from consumers.finish import Finish
from service.messaging.dead_letters import DEAD_LETTER_TOPICS
from service.messaging.topic_reader import Tail, replay
from service.messaging.topics import ALL
from service.run.progress import Progress
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker

pytestmark = pytest.mark.anyio

_TASKS = 40
_NEW = new_run("grown")


async def test_a_grown_log_is_that_of_a_run(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        prompts = await write_log(broker, _NEW, _TASKS)
        progress, admit, finish = Progress(), Admit(SELF_INSTRUCT), Finish("grown", lambda: 0)
        async with Tail.of(broker, "grown", (*ALL, *DEAD_LETTER_TOPICS)) as tail:
            async for message in tail.messages_to_end():
                progress.apply(message)
        await replay(broker, "grown", admit.restores, admit.restore)
        await replay(broker, "grown", finish.restores, finish.restore)
    assert (progress.finished, progress.pending, progress.outstanding) == (_TASKS, 0, 0)
    assert prompts == _TASKS // ACCEPTED == progress.prompts
    admit.check_restored()
    finish.check_restored()
