"""The webhooks of this process, from a TOML file: a table for each.

    [archive]
    run = "default"
    url = "https://example.org/tasks"
    secret_file = "archive.key"        # beside this file, if the path is relative
    start = "now"                      # or "beginning", the default
    batch = 100                        # tasks of one request, at most

Only the file names addresses: a request cannot make this process call one.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from yarl import URL

from service.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_SHORTEST_SECRET = 16
_MOST_IN_BATCH = 1_000


class Webhook(Struct, frozen=True, kw_only=True):
    """A webhook. `start` matters until its first delivery; later ones go on behind the last."""

    name: str
    run: str
    url: URL
    secret: bytes
    start: Literal["beginning", "now"] = "beginning"
    batch: int = 100

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, run={self.run!r}, to={self.place!r})"

    @property
    def place(self) -> str:
        """Scheme and host of the address; its path may be a secret."""
        return str(self.url.origin())


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    run: str
    url: str
    secret_file: str
    start: Literal["beginning", "now"] = "beginning"
    batch: int = 100


def read_webhooks(path: Path) -> list[Webhook]:
    """Return the webhooks of a file.

    Raises:
        ConfigurationError: a file cannot be read, or a table is wrong; no message has a secret.
    """
    try:
        tables = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"web_webhooks: {path}: expected a readable TOML file: {error}") from error
    if not tables:
        raise ConfigurationError(f"web_webhooks: {path}: expected a table for each webhook, found none")
    return [_webhook(path, name, table) for name, table in tables.items()]


def _webhook(path: Path, name: str, table: Any) -> Webhook:
    place = f"web_webhooks: {path}, [{name}]"
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(f"{place}: expected a name of at most 63 small letters, digits, - and _")
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{place}: expected a table with run, url and secret_file")
    try:
        given = msgspec.convert(table, _Table)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{place}: {error}") from error
    if not 1 <= given.batch <= _MOST_IN_BATCH:
        raise ConfigurationError(f"{place}: batch: expected 1 to {_MOST_IN_BATCH} tasks, got {given.batch}")
    return Webhook(
        name=name,
        run=given.run,
        url=_address(place, given.url),
        secret=_secret(place, path.parent / given.secret_file),
        start=given.start,
        batch=given.batch,
    )


def _address(place: str, text: str) -> URL:
    """Return the URL of a webhook; an error does not show it, since it may have a secret in it."""
    try:
        url = URL(text)
    except ValueError as error:
        raise ConfigurationError(f"{place}: url: expected an address, got something else") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"{place}: url: expected http:// or https:// with a host, got {url.scheme or 'none'}")
    if url.user is not None or url.password is not None:
        raise ConfigurationError(f"{place}: url: expected no user name or password; the signature tells who calls")
    return url


def _secret(place: str, file: Path) -> bytes:
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{place}: secret_file: expected a readable file: {error}") from error
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"{place}: secret_file: expected a secret of {_SHORTEST_SECRET} bytes at least, got {len(secret)}; "
            f"`openssl rand -hex 32 > {file}` makes one"
        )
    return secret
