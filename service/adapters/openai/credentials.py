"""The API key and headers of every call, and the secrets among them that must not appear in messages."""

from collections.abc import Mapping

from pydantic import SecretStr

from service.adapters.openai.server_profiles import AuthHeader
from service.errors import ConfigurationError

# A header value such as "true" is not a secret, and masking it would garble the server's messages.
_SHORTEST_SECRET = 8


class Credentials:
    """The headers of every call; the key can be replaced while calls are in flight.

    `headers` contain the current key. `secrets` holds all keys ever used and the extra headers, without
    values of less than 8 characters; old keys stay, since a late response may echo one.
    """

    def __init__(self, auth: AuthHeader, extra_headers: Mapping[str, SecretStr], key: SecretStr | None) -> None:
        self.secrets: tuple[str, ...] = ()
        self.headers: Mapping[str, str] = {}
        self._auth = auth
        self._extra = {name: value.get_secret_value() for name, value in extra_headers.items()}
        self._remember(*self._extra.values())
        self.use(key)

    def use(self, key: SecretStr | None) -> None:
        """Send this key from now on, or no key.

        Raises:
            ConfigurationError: the key contains a line break or another control character.
        """
        check_header(key)
        value = key.get_secret_value() if key else ""
        self._remember(value)
        shown = f"Bearer {value}" if self._auth is AuthHeader.BEARER else value
        keyed = {str(self._auth): shown} if value else {}
        self.headers = {"Content-Type": "application/json", "User-Agent": "seedstream", **keyed, **self._extra}

    def _remember(self, *values: str) -> None:
        new = (value for value in values if len(value) >= _SHORTEST_SECRET and value not in self.secrets)
        self.secrets = (*self.secrets, *new)


def check_header(secret: SecretStr | None) -> None:
    """Raise if a secret is not valid in a header.

    Raises:
        ConfigurationError: the secret contains a control character; the message does not repeat the secret.
    """
    if secret is not None and not secret.get_secret_value().isprintable():
        raise ConfigurationError(
            "The API key and the extra headers must fit on one line, and a line break or control character came: "
            "look at the end of the file or variable that holds the key."
        )
