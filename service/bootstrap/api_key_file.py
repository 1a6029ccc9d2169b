"""API keys in files: read at the start, and again when the file changes: a key is replaced without a restart."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import anyio
import structlog
from anyio import Path as AsyncPath
from pydantic import SecretStr

from service.errors import ConfigurationError

_LOOK_EVERY_S = 2.0
_ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]*\s*=")

log = structlog.get_logger()


class Keyed(Protocol):
    """An object that uses an API key."""

    def use_key(self, key: SecretStr | None) -> None:
        """Use this key from now on."""
        ...


async def read_key(file: Path) -> SecretStr:
    """Return the key in a file.

    Raises:
        ConfigurationError: the file cannot be read, or holds more than the key.
    """
    try:
        text = (await AsyncPath(file).read_text("utf-8-sig")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: expected a readable file that holds the API key: {error}") from error
    if _ASSIGNMENT.match(text) or text[:1] in {'"', "'"}:
        raise ConfigurationError(f"{file}: expected the API key alone, without a name before it or quotation marks")
    return SecretStr(text)


async def follow_key(
    file: Path,
    known: SecretStr | None,
    users: Sequence[Keyed],
    changed: Callable[[], None],
    look_every_s: float = _LOOK_EVERY_S,
) -> None:
    """Look at a key's file until cancelled; hand another key than is known to its users and tell that it has changed.

    A file that cannot be read, or holds no key, is being replaced: the old key stays until it can.
    """
    complained = False
    while True:
        await anyio.sleep(look_every_s)
        try:
            key = await read_key(file)
            if key == known or not key.get_secret_value():
                continue
            for user in users:
                user.use_key(key)
        except ConfigurationError as error:
            if not complained:
                log.warning("lm.key_unusable", error=str(error))
            complained = True
            continue
        known, complained = key, False
        log.info("lm.key_changed", file=str(file))
        changed()
