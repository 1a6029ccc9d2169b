"""An API key in a file is replaced without a restart."""

from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from service.bootstrap.api_key_file import follow_key, read_key
from service.errors import ConfigurationError
from tests.lm.dispatch.endpoints import until

pytestmark = pytest.mark.anyio


class User:
    """A model that records its keys."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def use_key(self, key: SecretStr | None) -> None:
        self.keys.append(key.get_secret_value() if key is not None else "")


async def test_a_new_key_is_passed_on_and_reported_but_never_logged(tmp_path: Path) -> None:
    file, user, told = tmp_path / "key", User(), anyio.Event()
    await anyio.Path(file).write_text("old-secret\n")
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow_key, file, SecretStr("old-secret"), [user], told.set, 0.001)
            await anyio.Path(file).write_text("")
            await anyio.Path(file).unlink()
            await until(lambda: any(entry["event"] == "lm.key_unusable" for entry in logs))
            assert not told.is_set()
            await anyio.Path(file).write_text("new-secret\n")
            await until(told.is_set)
            tasks.cancel_scope.cancel()
    assert user.keys == ["new-secret"]
    assert "secret" not in str(logs)


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing-here"):
        await read_key(tmp_path / "nothing-here")
