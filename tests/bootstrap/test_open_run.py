from pathlib import Path

import pytest

from service.bootstrap.open_run import is_worked_on
from service.settings import Settings

_NO_PROCESS = 2**30


@pytest.mark.parametrize(("holder", "alive"), [("1", True), (str(_NO_PROCESS), False), ("", False), ("9" * 30, False)])
def test_a_run_is_worked_on_while_its_process_lives(tmp_path: Path, holder: str, alive: bool) -> None:  # noqa: FBT001
    (tmp_path / "r.lock").write_text(holder)
    assert is_worked_on(Settings(broker=f"sqlite:{tmp_path}", run="r")) == alive


def test_a_run_without_a_lock_file_is_not_worked_on(tmp_path: Path) -> None:
    assert not is_worked_on(Settings(broker=f"sqlite:{tmp_path}", run="r"))
