"""Certificates of authorities: loaded once, and for https alone.

aiohttp loads them twice when it is imported, which takes as long as the rest of it. It is therefore imported here, with
contexts of its own that trust nobody. Connectors get ours from `trusted_by`.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from anyio import to_thread


@contextmanager
def _nothing_loaded() -> Iterator[None]:
    """Let TLS contexts that are made inside the block load no certificates."""
    ssl.SSLContext.set_default_verify_paths = lambda self: None  # type: ignore[method-assign]  # noqa: ARG005
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths  # that of the class beneath it is in force again


with _nothing_loaded():
    import aiohttp

__all__ = ["aiohttp", "authorities", "trusted_by"]


async def trusted_by(url: str) -> ssl.SSLContext | bool:
    """Return the parameter `ssl` of a connector for this URL: a context that trusts the system's authorities."""
    return await to_thread.run_sync(authorities) if url.lower().startswith("https:") else True


@cache
def authorities() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context
