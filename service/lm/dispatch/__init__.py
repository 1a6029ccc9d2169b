"""How calls reach the model: how many at once, to which server, when again, and what to do when it refuses them all."""

from service.lm.dispatch.dispatcher import Dispatcher, Patience
from service.lm.dispatch.upstream import Upstream, UpstreamState

__all__ = ["Dispatcher", "Patience", "Upstream", "UpstreamState"]
