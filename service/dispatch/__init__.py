"""How calls reach the model: how many at once, to which server, when again, and what to do when it refuses them all."""

from service.dispatch.dispatcher import Dispatcher, Patience
from service.dispatch.lane import Lane, LaneState

__all__ = ["Dispatcher", "Lane", "LaneState", "Patience"]
