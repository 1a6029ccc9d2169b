"""The compiled library (`kernel/`), called through ctypes, which releases the interpreter's lock."""

import ctypes
import hashlib
from importlib import resources

from service.errors import KernelError

_BUILD = "`pip install .`, or `python build_kernel.py` in a source tree"
_Handle = ctypes.c_void_p
_Text = (ctypes.c_char_p, ctypes.c_size_t)
_Sizes = ctypes.POINTER(ctypes.c_uint64)
_Array = ctypes.c_void_p
_U32 = ctypes.c_uint32

# The functions by name: result and arguments.
_FUNCTIONS = {
    "index_new": (_Handle, (ctypes.c_double, ctypes.c_uint64, _U32, ctypes.c_char_p)),
    "index_free": (None, (_Handle,)),
    "index_add": (ctypes.c_int, (_Handle, ctypes.c_char_p, _Array, ctypes.c_size_t)),
    "index_size": (_U32, (_Handle,)),
    "index_words": (_U32, (_Handle,)),
    "index_bytes": (ctypes.c_uint64, (_Handle,)),
    "index_settle": (ctypes.c_int, (_Handle,)),
    "index_nearest": (ctypes.c_int64, (_Handle, *_Text, _U32, ctypes.POINTER(ctypes.c_double))),
    "index_scores": (ctypes.c_int, (_Handle, *_Text, _U32, _U32, _Array)),
    "index_scores_before": (ctypes.c_int, (_Handle, _U32, _Array)),
    "index_saved_sizes": (ctypes.c_int, (_Handle, _U32, _U32, _Sizes)),
    "index_save": (ctypes.c_int, (_Handle, _U32, _U32, _Array, _Array, _Array, _Array)),
    "index_load": (ctypes.c_int, (_Handle, _Sizes, _Array, _Array, _Array, _Array)),
}

NONE = -1
_ERRORS = {
    -2: (MemoryError, "there is no memory for the similarity index"),
    -3: (OverflowError, "expected at most 2^32 texts and postings a segment, 2^28 words, and 2^28 bytes a text"),
    -4: (ValueError, "what was given does not fit the similarity index"),
}


def checked(result: int) -> int:
    """Return the result of a function of the library, unless it is an error.

    Raises:
        MemoryError: there is not enough memory.
        OverflowError: a text is too long, or there are too many.
        ValueError: an argument does not fit the index.
    """
    if result < NONE:
        error, message = _ERRORS[result]
        raise error(message)
    return result


def library() -> ctypes.CDLL:
    """Return the library.

    Raises:
        KernelError: it was not built, or from other sources than those that lie beside it.
    """
    if isinstance(_LOADED, KernelError):
        raise _LOADED
    return _LOADED


def _load() -> ctypes.CDLL:
    here = resources.files(__package__)
    try:
        loaded = ctypes.CDLL(str(here / "kernel.so"))
    except OSError as error:
        raise KernelError(f"expected the compiled similarity index, got: {error}; build it: {_BUILD}") from error
    loaded.kernel_sources.restype = ctypes.c_char_p
    _check_sources(here, loaded)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def _check_sources(here: resources.abc.Traversable, loaded: ctypes.CDLL) -> None:
    """Raise if the library was built from other sources. Only a source tree has them."""
    sources = here / "kernel"
    if not sources.is_dir():
        return
    files = sorted((file for file in sources.iterdir() if file.name.endswith((".c", ".h"))), key=lambda file: file.name)
    expected = hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()
    got = loaded.kernel_sources().decode()
    if got != expected:
        raise KernelError(
            f"expected the similarity index compiled from sources {expected}, got {got}; build it anew: {_BUILD}"
        )


def _loaded_or_error() -> ctypes.CDLL | KernelError:
    try:
        return _load()
    except KernelError as error:
        return error


# Loaded with this module, in less than a millisecond, and not when an event loop runs. Who asks for it gets the error.
_LOADED = _loaded_or_error()
