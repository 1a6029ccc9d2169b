"""The script of Vega, Vega-Lite and Vega-Embed, from the package vl-convert-python of the `web` extra."""

import anyio
from anyio import to_thread

from service.web.page.assets import Asset

# The bundle is a module; scripts of the page find its function here.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_CONTENT_TYPE = "text/javascript; charset=utf-8"


class VegaBundle:
    """The script, made once in a worker thread: it takes a second or two of a core."""

    def __init__(self) -> None:
        self._asset: Asset | None = None
        self._is_missing = False
        self._making = anyio.Lock()

    async def get(self) -> Asset | None:
        """Return the script; None where the extra is not installed."""
        async with self._making:
            if self._asset is None and not self._is_missing:
                self._asset = await to_thread.run_sync(_make)
                self._is_missing = self._asset is None
        return self._asset


def _make() -> Asset | None:
    try:
        import vl_convert  # noqa: PLC0415 - an extra, with a JavaScript engine that takes a while to load
    except ImportError:
        return None
    return Asset.of(_CONTENT_TYPE, vl_convert.javascript_bundle(_SNIPPET).encode())
