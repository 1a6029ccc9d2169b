"""Checkpoints: what a fold over the log holds, in a file, with the offsets at which it stands.

The log is the truth. A checkpoint only saves the time to read the log again; one that does not fit it is ignored.
"""

from service.checkpoints.state import Fold, State
from service.checkpoints.store import NO_CHECKPOINTS, Checkpoints
from service.checkpoints.writer import CheckpointWriter

__all__ = ["NO_CHECKPOINTS", "CheckpointWriter", "Checkpoints", "Fold", "State"]
