"""The state of a fold, on its way through a file."""

from pathlib import Path
from tempfile import TemporaryDirectory

from service.checkpoints import State, file


def through_a_file(state: State) -> State:
    """Return a state as it is read from its checkpoint."""
    with TemporaryDirectory() as folder:
        file.write(Path(folder) / "checkpoint", {}, state)
        return file.read(Path(folder) / "checkpoint")[1]
