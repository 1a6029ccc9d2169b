"""`seedstream run --web` with a webhook: killed in the middle, it delivers every task at the next start."""

from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from tests.acceptance.model import eventually, simulated
from tests.acceptance.program import run, start
from tests.web.webhooks.receiver import SECRET, receiving

pytestmark = pytest.mark.kill

_TARGET = 60


def test_a_killed_run_delivers_every_task_to_its_webhook(tmp_path: Path) -> None:
    with (
        simulated(time_to_first_token_s=0.05) as model,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(receiving()) as receiver,
    ):
        (tmp_path / "hook.key").write_bytes(SECRET)
        hooks = tmp_path / "hooks.toml"
        hooks.write_text(f'[archive]\nrun = "default"\nurl = "{receiver.url}"\nsecret_file = "hook.key"\n')
        flags = ("--web", "--web-port", "0", "--web-webhooks", str(hooks), "--target", str(_TARGET))
        command = ("run", *model.flags, "--concurrency", "4", *flags)
        with start(tmp_path, *command) as program:
            eventually(lambda: len(receiver.numbers) >= 5)
            program.kill()
        ended = run(tmp_path, *command)
    assert ended.code == 0
    assert sorted(set(receiver.numbers)) == list(range(_TARGET))
    assert receiver.unsigned == 0
