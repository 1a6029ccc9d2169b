"""Access tokens and their scopes, from a file that is read again when it changes."""

import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import anyio
import structlog
from anyio import to_thread

from service.errors import ConfigurationError
from service.task_groups import unwrapped_task_group

_LOOK_EVERY_S = 1.0
_SHORTEST_TOKEN = 16
_LONGEST_TOKEN = 512
_FORM = "NAME:SCOPE,…:TOKEN"

log = structlog.get_logger()


class Scope(IntEnum):
    """The rights of a token; each scope includes those before it."""

    READ = 1
    STEER = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Name of the scope in the file of tokens."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. A caller by session has a browser, which may be led astray by other pages."""

    name: str
    scope: Scope
    digest: bytes = b""
    by_session: bool = False


ANYONE = Caller("anyone", Scope.ADMIN)


class Tokens:
    """The tokens of a file. Without a file, everybody may do everything."""

    def __init__(self, path: Path | None, callers: Sequence[Caller]) -> None:
        self._path = path
        self._callers = callers
        self._stamp: object = None

    @classmethod
    @asynccontextmanager
    async def of(cls, path: Path | None) -> "AsyncIterator[Tokens]":
        """Read a file of tokens, and read it again whenever it changes.

        Raises:
            ConfigurationError: the file cannot be read, or a line of it is no token.
        """
        if path is None:
            yield cls(None, ())
            return
        tokens = cls(path, ())
        await tokens._read(path)
        async with unwrapped_task_group() as tasks:
            tasks.start_soon(tokens._follow, path)
            yield tokens
            tasks.cancel_scope.cancel()

    @property
    def are_needed(self) -> bool:
        """Whether a request needs a token."""
        return self._path is not None

    def are_valid(self, caller: Caller) -> bool:
        """Return whether a caller still has its token, where one is needed."""
        return not self.are_needed or self.caller_of(caller.digest) is not None

    def caller(self, token: str) -> Caller | None:
        """Return who has a token; None if nobody does."""
        return self.caller_of(_digest(token))

    def caller_of(self, digest: bytes) -> Caller | None:
        """Return who has the token with this digest now; the time it takes says nothing about the tokens."""
        found = None
        for each in self._callers:
            if hmac.compare_digest(each.digest, digest):
                found = each
        return found

    async def _follow(self, path: Path) -> None:
        while True:
            await anyio.sleep(_LOOK_EVERY_S)
            try:
                await self._read(path)
            except ConfigurationError as error:
                log.warning("web.tokens_unusable", error=str(error), hint="the earlier tokens stay valid")

    async def _read(self, path: Path) -> None:
        stamp = await to_thread.run_sync(_stamp, path)
        if stamp != self._stamp:
            self._stamp = stamp  # also of a file that is wrong, which is told once
            self._callers = await to_thread.run_sync(_read_tokens, path)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return str(error)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read_tokens(path: Path) -> list[Caller]:
    try:
        text = path.read_text("utf-8-sig")
        mode = os.stat(path).st_mode  # noqa: PTH116 - beside the line above, which also follows links
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"web_tokens: {path}: expected a readable file of tokens: {error}") from error
    if mode & 0o077:
        log.warning("web.tokens_readable_by_others", file=str(path), hint=f"chmod 600 {path}")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    callers = [_caller(f"{path}, line {number}", line) for number, line in lines if line and not line.startswith("#")]
    if not callers:
        raise ConfigurationError(f"web_tokens: {path}: expected a line {_FORM} at least, found none")
    if len({each.digest for each in callers}) < len(callers):
        raise ConfigurationError(f"web_tokens: {path}: expected different tokens, and two lines have the same")
    return callers


def _caller(place: str, line: str) -> Caller:
    """Return the caller of a line; an error does not show the token."""
    name, first, rest = line.partition(":")
    scopes, second, token = rest.partition(":")
    words = [word.strip() for word in scopes.split(",")]
    known = {scope.word: scope for scope in Scope}
    if not (first and second and name.strip().isprintable() and name.strip()) or not known.keys() >= set(words):
        raise ConfigurationError(f"web_tokens: {place}: expected {_FORM} with the scopes {', '.join(known)}")
    token = token.strip()
    if not (_SHORTEST_TOKEN <= len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()):
        raise ConfigurationError(
            f"web_tokens: {place}: expected a token of {_SHORTEST_TOKEN} to {_LONGEST_TOKEN} printable ASCII "
            f"characters, got {len(token)} characters; `openssl rand -hex 32` prints a new one"
        )
    return Caller(name.strip(), max(known[word] for word in words), _digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
