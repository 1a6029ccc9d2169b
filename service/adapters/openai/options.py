"""Options of an endpoint: the server's address, the model, and the form of requests."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from service.adapters.openai.credentials import check_header
from service.adapters.openai.server_profiles import PROFILES, Api, Dialect, Parameter, Profile
from service.adapters.openai.urls import Addresses, addresses, check_address, dialect_of
from service.errors import ConfigurationError

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """A server and a model on it.

    `dialect` is the kind of server; `auto` detects it. `timeout_s` limits one attempt. `end_of_text_token` is the id of
    the model's end-of-text token, which a recipe may ban. `omit` names parameters that are never sent.
    `thinking_tokens` are added to the recipe's limit for a model that thinks before it answers; `None` adds tokens once
    the model is seen to think. `extra_headers` are sent with every call and never shown, since they may hold secrets.
    """

    base_url: str
    model: str
    api_key: SecretStr | None = None
    api: Api = "chat"
    dialect: str = AUTO
    timeout_s: float = 120.0
    end_of_text_token: int | None = None
    seed: int | None = None
    omit: Collection[str] = ()
    thinking_tokens: int | None = None
    extra_headers: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Validate the options.

        Raises:
            ConfigurationError: an option is invalid; the message names it.
        """
        check_address(self.base_url)
        if not self.model:
            raise ConfigurationError("The model must have a name, and it is empty: give the one that the server lists.")
        for secret in (self.api_key, *self.extra_headers.values()):
            check_header(secret)
        if self.timeout_s <= 0 or (self.thinking_tokens or 0) < 0:
            raise ConfigurationError(
                "A call needs a time limit above zero and no negative number of tokens, and these came: "
                f"timeout_s={self.timeout_s}, thinking_tokens={self.thinking_tokens}."
            )
        self._check_names()

    def _check_names(self) -> None:
        if self.dialect not in {AUTO, *Dialect}:
            raise ConfigurationError(
                f"The dialect of the language model must be {AUTO}, {', '.join(Dialect)}, and {self.dialect!r} came."
            )
        unknown = sorted(set(self.omit) - set(Parameter))
        if unknown:
            raise ConfigurationError(
                f"A request can be made without {', '.join(Parameter)}, and not without {', '.join(unknown)}: take "
                "that out of lm_omit."
            )

    @property
    def profile(self) -> Profile:
        """Profile to begin with: that of `dialect`, or of the host in `base_url` if it is `auto`, else generic."""
        dialect = (dialect_of(self.base_url) or Dialect.GENERIC) if self.dialect == AUTO else self.dialect
        return PROFILES[Dialect(dialect)]

    @property
    def addresses(self) -> Addresses:
        """URLs of the server's API methods."""
        return addresses(self.base_url, self.model, self.profile.dialect)
