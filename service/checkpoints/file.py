"""The file of a checkpoint: a header in JSON, then the arrays, then a checksum over all of it.

| bytes | content |
|---|---|
| 8 | `seedckpt` |
| 4, 4 | version of this layout, length of the header |
| 8 | length of the file |
| … | the header: facts, values, and the name, type, shape and place of each array |
| … | the arrays, little-endian, each at a multiple of 64 bytes |
| 4 | CRC-32 of everything before |

A file is written under another name and renamed when it is whole, so that no reader ever sees a part of one. A mapped
file stays valid when another takes its name.
"""

import json
import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO
from zlib import crc32

from service.checkpoints.state import State
from service.errors import CheckpointUnfitError

LAYOUT = 1
_MAGIC = b"seedckpt"
_HEAD = struct.Struct("<8sIIQ")
_CHECKSUM = struct.Struct("<I")
_ALIGNED = 64
_CHUNK_BYTES = 1 << 20
_ABANDONED_S = 3_600.0
_KINDS = dict.fromkeys("bhilq", "i") | dict.fromkeys("BHILQ", "u") | dict.fromkeys("fd", "f")
_CODES: Mapping[str, Any] = {
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f4": "f",
    "f8": "d",
}


def write(file: Path, facts: Mapping[str, Any], state: State) -> None:
    """Replace a file, atomically. `facts` are further values for the header.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(file)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}-{token_hex(4)}.tmp")
    try:
        with unfinished.open("xb") as opened:
            _write_all(opened, _parts(facts, state))
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def read(file: Path) -> tuple[dict[str, Any], State]:
    """Return the facts and the state in a file; the arrays are mapped into memory.

    Raises:
        CheckpointUnfitError: the file is not whole, or has another layout.
        OSError: there is no such file, or it cannot be read.
    """
    with file.open("rb") as opened:
        head = opened.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise CheckpointUnfitError("it is torn")
        magic, layout, header_bytes, length = _HEAD.unpack(head)
        if magic != _MAGIC or layout != LAYOUT or sys.byteorder != "little":
            raise CheckpointUnfitError(f"expected layout {LAYOUT}, got {magic!r} {layout}")
        if os.fstat(opened.fileno()).st_size != length or not _is_whole(opened, head, length):
            raise CheckpointUnfitError("it is torn: its length or its checksum is wrong")
        opened.seek(_HEAD.size)
        header = json.loads(opened.read(header_bytes))
        mapped = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    arrays = {name: [_array(mapped, *told)] for name, told in header["arrays"].items()}
    return header["facts"], State(header["values"], arrays)


def _array(mapped: memoryview, kind: str, shape: list[int], at: int, size: int) -> memoryview:
    """Return a view of an array; an empty one has one dimension."""
    part = mapped[at : at + size]
    return part.cast(_CODES[kind], shape) if size else part.cast(_CODES[kind])


def _parts(facts: Mapping[str, Any], state: State) -> Iterator[memoryview | bytes]:
    """Yield the content of a file up to its checksum."""
    pieces = {name: [each.cast("B") for each in given if each.nbytes] for name, given in state.arrays.items()}
    sizes = {name: sum(each.nbytes for each in given) for name, given in pieces.items()}
    described = {name: [*_described(given), 0, sizes[name]] for name, given in state.arrays.items()}
    # The places depend on the length of the header, so room for the longest numbers is left in it.
    begin = _aligned(_HEAD.size + len(_header(facts, state, described)) + 20 * len(described))
    end = begin
    for name, told in described.items():
        told[2] = end
        end = _aligned(end + sizes[name])
    header = _header(facts, state, described).ljust(begin - _HEAD.size)
    yield _HEAD.pack(_MAGIC, LAYOUT, len(header), end + _CHECKSUM.size)
    yield header
    for name, given in pieces.items():
        yield from given
        yield bytes(-sizes[name] % _ALIGNED)


def _described(pieces: Sequence[memoryview]) -> tuple[str, list[int]]:
    """Return type and shape of an array that is given in pieces."""
    if not pieces:
        return "u1", [0]
    shapes = [each.shape or () for each in pieces]
    rows = sum(shape[0] for shape in shapes)
    return f"{_KINDS[pieces[0].format]}{pieces[0].itemsize}", [rows, *shapes[0][1:]]


def _header(facts: Mapping[str, Any], state: State, arrays: Mapping[str, Any]) -> bytes:
    """Return the header; the module `json` writes integers of any length."""
    return json.dumps({"facts": facts, "values": state.values, "arrays": arrays}).encode()


def _aligned(length: int) -> int:
    return -(-length // _ALIGNED) * _ALIGNED


def _write_all(opened: BinaryIO, parts: Iterator[memoryview | bytes]) -> None:
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
        opened.write(part)
    opened.write(_CHECKSUM.pack(checksum))


def _is_whole(opened: BinaryIO, head: bytes, length: int) -> bool:
    checksum, left = crc32(head), length - len(head) - _CHECKSUM.size
    while left > 0:
        chunk = opened.read(min(_CHUNK_BYTES, left))
        if not chunk:
            return False
        checksum, left = crc32(chunk, checksum), left - len(chunk)
    return opened.read() == _CHECKSUM.pack(checksum)


def _remove_abandoned(file: Path) -> None:
    """Remove the unfinished files of processes that were killed while they wrote this one."""
    for each in file.parent.glob(f"{file.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - each.stat().st_mtime > _ABANDONED_S:
                each.unlink()
