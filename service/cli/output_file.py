"""The output of a command: standard output, or a file that is replaced as a whole."""

import sys
from pathlib import Path

import anyio
from anyio import to_thread

from service.cli.terminal_text import safe_json
from service.dataset.export import Chunks
from service.errors import ConfigurationError, OutputClosedError


async def write(chunks: Chunks, output: Path | None) -> None:
    """Write chunks of JSON to a file, or to standard output if `output` is None or `-`.

    A terminal gets control characters as escapes.

    Raises:
        OutputClosedError: the reader of standard output has closed it.
        ConfigurationError: the output is not writable.
    """
    if output is None or str(output) == "-":
        await _to_stdout(chunks)
    else:
        await _to_file(chunks, anyio.Path(output))


async def _to_stdout(chunks: Chunks) -> None:
    if sys.stdout is None:
        raise OutputClosedError("standard output is closed")
    on_terminal = sys.stdout.isatty()
    try:
        async for chunk in chunks:
            await to_thread.run_sync(sys.stdout.buffer.write, safe_json(chunk) if on_terminal else chunk)
        await to_thread.run_sync(sys.stdout.buffer.flush)
    except BrokenPipeError as error:
        raise OutputClosedError("the reader of the output has closed it") from error
    except OSError as error:
        raise ConfigurationError(f"standard output: cannot write: {error}") from error


async def _to_file(chunks: Chunks, output: anyio.Path) -> None:
    """Write to a path: replace a regular file, write directly to anything else (a device, a pipe)."""
    try:
        if await output.exists() and not await output.is_file():
            await _write_to(chunks, output)
        else:
            await _replace(chunks, await output.resolve())
    except OSError as error:
        raise ConfigurationError(f"{output}: expected a writable file: {error.strerror}") from error


async def _replace(chunks: Chunks, target: anyio.Path) -> None:
    """Write a temporary file beside the target, then replace the target: the old content stays until then."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        await _write_to(chunks, partial)
        await partial.replace(target)
    finally:
        with anyio.CancelScope(shield=True):
            await partial.unlink(missing_ok=True)


async def _write_to(chunks: Chunks, target: anyio.Path) -> None:
    async with await target.open("wb") as file:
        async for chunk in chunks:
            await file.write(chunk)
