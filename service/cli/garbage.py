"""Garbage collection in commands that run for long."""

import gc

_NEW_OBJECTS = 50_000
_COLLECTIONS = 20


def spare_garbage_collection() -> None:
    """Collect cyclic garbage more rarely.

    Records and messages have no cycles. With Python's defaults, the search for some takes a tenth of a run's CPU.
    """
    gc.set_threshold(_NEW_OBJECTS, _COLLECTIONS, _COLLECTIONS)
