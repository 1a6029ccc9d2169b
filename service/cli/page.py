"""Tells where the page of the live service is, and opens it in a browser."""

from anyio import to_thread

from service.cli.options import Page
from service.cli.signals import say


async def tell_of_page(url: str, page: Page) -> None:
    """Print the address of the page; open it in a browser if that is wanted and there is one."""
    say(f"page and REST API: {url}")
    if page is not Page.OPENED:
        return
    import webbrowser  # noqa: PLC0415 - it looks for browsers, which few runs need

    if not await to_thread.run_sync(webbrowser.open, url):
        say("no browser was found to open it in")
