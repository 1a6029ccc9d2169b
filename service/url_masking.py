"""URLs fit for display: without the user name and password that may be in them."""

import re

# The text between the scheme, if there is one, and the last @ before the next URL of a list.
_CREDENTIALS = re.compile(r"((?:^|,)\s*(?:[\w+.-]+:/+)?)(?:(?!://).)*@", re.DOTALL)


def masked(urls: str) -> str:
    """Return one URL, or several separated by commas, with `***` for each user name and password."""
    return _CREDENTIALS.sub(r"\1***@", urls)
