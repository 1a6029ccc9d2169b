"""Dispatch of calls to servers: concurrency, the choice of a server, retries, and a pause if all are refused."""

from service.lm.dispatch.dispatcher import Dispatcher, Patience
from service.lm.dispatch.upstream import Upstream, UpstreamState

__all__ = ["Dispatcher", "Patience", "Upstream", "UpstreamState"]
