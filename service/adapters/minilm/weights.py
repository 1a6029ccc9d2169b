"""Reader for safetensors files: the length of the header, the header in JSON, and the data of the tensors."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

_LENGTH_BYTES = 8
_FLOAT32 = "F32"


def read_weights(file: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the float32 tensors of a file by name. The file is memory-mapped: data are read when they are used.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not in the safetensors format.
    """
    mapped = np.memmap(file, np.uint8, "r").view(np.ndarray)
    start = _LENGTH_BYTES + int.from_bytes(mapped[:_LENGTH_BYTES].tobytes(), "little")
    table = orjson.loads(mapped[_LENGTH_BYTES:start].tobytes())
    found = {}
    for name, entry in table.items():
        if entry.get("dtype") == _FLOAT32:
            begin, end = entry["data_offsets"]
            found[name] = mapped[start + begin : start + end].view("<f4").reshape(entry["shape"])
    return found
