"""Where an OpenAI-compatible server is and how it wants to be asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from service.errors import ConfigurationError

# A path that names its version (/v1, /v1beta/openai, /api/paas/v4) is complete; any other gets /v1.
_VERSIONED = re.compile(r"/v\d+[a-z0-9]*(?:/|$)")

# A header such as "true" is no secret, and hiding it would garble what a server says.
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """One endpoint and one model.

    `timeout_s` limits one attempt. `end_of_text_token` is the model's number for it, which a recipe may ask to ban.
    `extra_headers` are sent with every call and may hold secrets (Azure's `api-key`), so they are never shown.
    """

    base_url: str
    model: str
    api_key: SecretStr | None = None
    api: Literal["chat", "completions"] = "chat"
    timeout_s: float = 120.0
    max_attempts: int = 6
    end_of_text_token: int | None = None
    seed: int | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what can never work.

        Raises:
            ConfigurationError: names the option.
        """
        _check_url(self.base_url)
        if not self.model:
            raise ConfigurationError("The model must have a name, and it is empty: give the one that the server lists.")
        if any(not value.isprintable() for value in self.headers.values()):
            raise ConfigurationError(
                "The API key and the extra headers must fit on one line, and a line break or control character came: "
                "look at the end of the file or variable that holds the key."
            )
        if self.max_attempts < 1 or self.timeout_s <= 0:
            raise ConfigurationError(
                "A call needs at least one attempt and a time limit above zero, and these came: "
                f"max_attempts={self.max_attempts}, timeout_s={self.timeout_s}."
            )

    @property
    def root(self) -> str:
        """The address that `/chat/completions` is appended to."""
        address = self.base_url.rstrip("/")
        return address if _VERSIONED.search(urlsplit(address).path) else f"{address}/v1"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, should a server echo it."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        return tuple(value for value in (key, *self.extra_headers.values()) if len(value) >= _SHORTEST_SECRET)

    @property
    def headers(self) -> dict[str, str]:
        """What goes out with every call."""
        key = {"Authorization": f"Bearer {self.api_key.get_secret_value()}"} if self.api_key else {}
        return {"Content-Type": "application/json", "User-Agent": "seedstream", **key, **self.extra_headers}


def _check_url(url: str) -> None:
    """Check the address without repeating it where it may hold a password."""
    try:
        parts = urlsplit(url)
        has_port_or_none = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigurationError(f"The base URL of the language model cannot be read ({error}).") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "The base URL of the language model holds a user name or password: take it out and give an API key instead."
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_port_or_none:
        raise ConfigurationError(
            f"The base URL of the language model must look like https://host/v1 or http://host:8000, and {url!r} came."
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            "The base URL of the language model ends with its path: take out what follows the ? or #, "
            "and send what a server wants besides as extra headers."
        )
