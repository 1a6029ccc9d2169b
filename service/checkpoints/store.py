"""The checkpoints of one run in a folder. Several processes may share it: one file for each fold, always whole."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import structlog
from anyio import Path as AsyncPath
from anyio import to_thread
from msgspec import Struct

from service.checkpoints import file
from service.checkpoints.state import Fold, State
from service.errors import CheckpointUnfitError
from service.messaging.bookmark import Bookmark

_VERSION = version("seedstream")

log = structlog.get_logger()


class Resumable(Protocol):
    """A reader of the log, or several, that can go on where a bookmark stands."""

    async def resume(self, bookmark: Bookmark, /) -> None:
        """Go on there.

        Raises:
            CheckpointUnfitError: the bookmark is not one of this log; the reader is still at the beginnings.
        """
        ...


class Checkpoints(Struct, frozen=True):
    """Loads and saves checkpoints; with `folder` None there are none.

    A checkpoint holds for one version of Seedstream and of the fold, and for one log: another may have had its name.
    """

    folder: Path | None

    async def has(self, fold: Fold) -> bool:
        """Return whether there is a checkpoint of a fold, which may not fit the log."""
        return self.folder is not None and await AsyncPath(self.folder / _name(fold)).exists()

    async def restore(self, fold: Fold, reader: Resumable) -> State | None:
        """Return the state of a fold and move its reader to where that state stands.

        Without a checkpoint that fits the log, return `None` and leave the reader at the beginnings.
        """
        if self.folder is None:
            return None
        path = self.folder / _name(fold)
        try:
            facts, state = await to_thread.run_sync(file.read, path)
            _check(fold, facts)
            await reader.resume(Bookmark.of_json(facts["bookmark"]))
        except FileNotFoundError:
            return None
        except (CheckpointUnfitError, OSError) as error:
            log.info("checkpoint.ignored", file=str(path), why=str(error))
            return None
        return state

    async def save(self, fold: Fold, bookmark: Bookmark, state: State) -> None:
        """Write a checkpoint in a worker thread. Without a folder that can be written, there is none."""
        if self.folder is None:
            return
        path = self.folder / _name(fold)
        try:
            facts = _facts(fold) | {"bookmark": bookmark.as_json()}
            await to_thread.run_sync(file.write, path, facts, state)
        except OSError as error:
            log.info("checkpoint.not_written", file=str(path), why=str(error))


NO_CHECKPOINTS = Checkpoints(None)


def _name(fold: Fold) -> str:
    return f"{fold.name}.checkpoint"


def _facts(fold: Fold) -> dict[str, Any]:
    return {"fold": fold.name, "version of the fold": fold.version, "version of Seedstream": _VERSION}


def _check(fold: Fold, facts: Mapping[str, Any]) -> None:
    if wrong := [name for name, value in _facts(fold).items() if facts.get(name) != value]:
        raise CheckpointUnfitError(f"it has another {', '.join(wrong)}")
