"""Reads the API key from a file, and follows changes of the file, so that a new key needs no restart."""

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
        """Use this key, or none, from the next call on."""
        ...


async def read_key(file: Path) -> SecretStr:
    """Return the key in a file, without surrounding whitespace.

    Raises:
        ConfigurationError: the file cannot be read, or contains a variable name or quotation marks.
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
    """Check a key file every `look_every_s` seconds until cancelled; pass a new key to `users`, then call `changed`.

    `known` is the key in use. It stays in use while the file is unreadable or empty, as during a replacement.
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
