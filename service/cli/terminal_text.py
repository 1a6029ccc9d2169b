"""The terminal, and text that is safe on it: it executes control characters."""

import re
import sys

# Control characters except tab and line feed, and characters that change the text direction.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_SHOWN = 2_000


def clean(text: str) -> str:
    """Return text that is safe on a terminal: control characters are replaced, and a long text is cut."""
    shown = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


def escaped(text: str) -> str:
    r"""Return text with control characters as escapes such as `\u001b`: safe on a terminal, and seen there."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def safe_json(data: bytes) -> bytes:
    """Return JSON of the same value that is safe on a terminal: control characters are escaped."""
    return escaped(data.decode("utf-8", "replace")).encode()


def on_terminal() -> bool:
    """Return whether standard output is a terminal; rich alone also says so of a pipe if FORCE_COLOR is set."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    from rich.console import Console  # noqa: PLC0415 - in a pipe, few commands need it

    return Console().is_terminal
