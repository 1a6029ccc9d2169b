"""Garbage collection in commands: rare, and without what is imported.

Modules, records and messages have no cycles. With Python's defaults, the search for some takes a tenth of a run's CPU,
and a third of that of a short command.
"""

import gc

_NEW_OBJECTS = 100_000
_COLLECTIONS = 20


def collect_rarely() -> None:
    """Search for garbage only after many new objects."""
    gc.set_threshold(_NEW_OBJECTS, _COLLECTIONS, _COLLECTIONS)


def spare_what_exists() -> None:
    """Never search what exists now: what was imported, or at the end everything, which the interpreter would search."""
    gc.freeze()
