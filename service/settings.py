"""Where things are and how a process runs: flags, then `SEEDSTREAM_*`, then `seedstream.toml`, then defaults.

The only place that reads the environment. What a run *is* (recipe, seeds, templates, random seed) is fixed when it is
defined; these settings only say what is asked for.
"""

import tomllib
from enum import StrEnum
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from service.billing.price_table import PriceTable, table_in_force
from service.errors import ConfigurationError
from service.selfinstruct.recipe import Form, RecipeName

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
FormChoice = Literal["auto", "text", "json"]
LmApi = Literal["chat", "completions"]
LmDialect = Literal[
    "auto", "openai", "azure", "vllm", "sglang", "llamacpp", "ollama", "tgi", "openrouter", "litellm", "generic"
]

TOML_FILE = "seedstream.toml"

# Valid in a topic's name and as a file's: no path can be made of it.
RunName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$")]


Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Names = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(lambda given: [name.strip() for name in given.split(",")] if isinstance(given, str) else given),
]

BrokerAddress = Annotated[str, StringConstraints(pattern=r"^(?:sqlite:.+|kafka://[^\s/,]+:\d+(?:,[^\s/,]+:\d+)*)$")]

# What is in the name of every setting that holds a secret.
_SECRET = ("key", "password", "headers")

# What to say in the place of a regular expression.
_EXPECTED = {
    "run": "expected small letters and digits, with - and _ between them, at most 63",
    "broker": "expected sqlite:DIR, or kafka://HOST:PORT with more of them after commas",
    "prices": "expected a table (in the variable: JSON) with version and models",
}


class _TomlSource(TomlConfigSettingsSource):
    """The settings file; some editors save it with a byte order mark, which TOML does not know."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        return tomllib.loads(file_path.read_bytes().decode("utf-8-sig"))


class LmKind(StrEnum):
    """Which adapter answers prompts."""

    LOCAL = "local"
    OPENAI = "openai"
    SIMULATOR = "simulator"


class Settings(BaseSettings):
    """Everything that can be set. Field names are flag names, `SEEDSTREAM_` names and keys of `seedstream.toml`."""

    model_config = SettingsConfigDict(
        env_prefix="SEEDSTREAM_", toml_file=TOML_FILE, extra="forbid", frozen=True, env_ignore_empty=True
    )
    broker: BrokerAddress = Field(
        default="sqlite:runs", description="where the log is: sqlite:DIR or kafka://HOST:PORT,…"
    )
    run: RunName = Field(default="default", description="the run's name")
    recipe: RecipeName = Field(default=RecipeName.SELF_INSTRUCT, description="self-instruct or alpaca")
    form: FormChoice = Field(
        default="auto",
        description="how tasks are asked for and answered: text, json, or auto: json with chat, else text",
    )
    semantic: bool = Field(default=False, description="record which task is nearest in meaning; decides nothing")
    semantic_threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="refuse what is nearer in meaning than this cosine; implies semantic"
    )
    seeds: Path | None = Field(
        default=None, description="seed tasks, JSON Lines or a JSON array; ours where none is named"
    )
    templates: Path | None = Field(default=None, description="folder of prompt templates that replace ours")
    target: Annotated[int, Field(ge=1)] = Field(default=100, description="finished tasks wanted")
    max_prompts: Annotated[int, Field(ge=1)] | None = Field(default=None, description="never issue more prompts")
    budget: Dollars | None = Field(
        default=None, description="US dollars that the run may cost since its beginning; 0 lifts the limit"
    )
    max_marginal_cost: Dollars | None = Field(
        default=None, description="US dollars that each of the last 1,000 accepted tasks may cost; 0 lifts the limit"
    )
    rpm: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="calls a minute of all processes together; 0 lifts the limit"
    )
    tpm: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="tokens a minute of all processes together; 0 lifts the limit"
    )
    max_in_flight: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="calls in flight of all processes together; 0 lifts the limit"
    )
    patience: Annotated[int, Field(ge=1)] = Field(
        default=200, description="give up after so many prompts in a row without an acceptance"
    )
    seed: int = Field(default=0, description="random seed of sampling, and of the simulator")
    lm: LmKind = Field(default=LmKind.LOCAL, description="local, openai or simulator")
    lm_url: str | None = Field(
        default=None, description="base URL of an OpenAI-compatible server; several that offer the model after commas"
    )
    model: str | None = Field(default=None, description="the model's name at that server")
    model_file: Path | None = Field(default=None, description="GGUF file for the local model")
    lm_api: LmApi = Field(default="chat", description="which endpoint is called")
    lm_dialect: LmDialect = Field(default="auto", description="what kind of server it is; auto finds out")
    lm_omit: Names = Field(default=(), description="request parameters never to send, after commas")
    lm_thinking_tokens: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="tokens on top of a recipe's for a model that thinks before it answers; auto finds out if it does",
    )
    lm_headers: dict[str, SecretStr] = Field(default={}, description="extra headers of every call")
    lm_api_key: SecretStr | None = Field(default=None, description="API key; better in a file")
    lm_api_key_file: Path | None = Field(default=None, description="file that holds the API key")
    lm_timeout_s: Annotated[float, Field(gt=0)] = Field(default=120.0, description="limit of one attempt, seconds")
    lm_attempts: Annotated[int, Field(ge=1)] = Field(default=10, description="attempts before a call is given up")
    lm_gone_s: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="give up when no call was taken for so long; a run 600, workers wait for ever"
    )
    lm_batch: bool = Field(default=False, description="ask through the batch API: cheap, and slow")
    lm_batch_linger_s: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="send a batch when nothing was asked for so long"
    )
    lm_end_of_text_token: int | None = Field(default=None, description="token number that Alpaca bans")
    prices: PriceTable | None = Field(default=None, description="prices by model, with the version of their table")
    price_prompt: Dollars | None = Field(
        default=None, description="US dollars for a million prompt tokens of the model; wins over prices"
    )
    price_completion: Dollars | None = Field(
        default=None, description="US dollars for a million completion tokens of the model; wins over prices"
    )
    concurrency: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="calls in flight; 4 for the local model, 2000 in batches, else 32"
    )
    window: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="prompts without a decision; twice the calls in flight, of all generators together"
    )
    partitions: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="partitions of a new run's work topics; 1, on Kafka 12"
    )
    replication: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="copies of each new topic on Kafka; 3, or as many as there are brokers"
    )
    kafka_tls: bool = Field(default=False, description="speak TLS with Kafka")
    kafka_sasl: SaslMechanism | None = Field(
        default=None, description="log in at Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_username: str | None = Field(default=None, description="who logs in at Kafka")
    kafka_password: SecretStr | None = Field(default=None, description="password at Kafka; better in a file")
    kafka_password_file: Path | None = Field(default=None, description="file that holds the password at Kafka")
    kafka_ca_file: Path | None = Field(default=None, description="CA that signed Kafka's certificates, PEM")
    kafka_certificate_file: Path | None = Field(default=None, description="certificate to show Kafka, PEM")
    kafka_key_file: Path | None = Field(default=None, description="key of that certificate, PEM, without a password")
    kafka_session_s: Annotated[float, Field(ge=1)] = Field(
        default=6.0, description="how long a process may be silent before others take its place at Kafka"
    )
    kafka_transaction_s: Annotated[float, Field(ge=1)] = Field(
        default=30.0, description="how long Kafka waits for the end of a transaction whose process stands still"
    )
    kafka_gone_s: Annotated[float, Field(ge=5)] = Field(
        default=120.0, description="give up when no Kafka broker has answered for so long"
    )
    http_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="serve health and metrics of a worker there"
    )
    http_host: str = Field(default="127.0.0.1", description="address for health and metrics")
    drain_s: Annotated[float, Field(ge=0)] = Field(default=60.0, description="how long calls may finish at a stop")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="what is logged")
    log_json: bool = Field(default=False, description="log JSON lines instead of text")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment, that over the file."""
        return init_settings, env_settings, _TomlSource(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _a_url_means_its_server(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take a base URL for the wish to ask that server."""
        return {"lm": LmKind.OPENAI, **given} if given.get("lm_url") else given

    @model_validator(mode="after")
    def _endpoint_is_complete(self) -> "Settings":
        if self.lm is LmKind.OPENAI and (self.lm_url is None or self.model is None):
            raise ValueError("lm=openai needs lm_url and model: say where the server is and which model to ask")
        if self.lm_batch and (self.lm is not LmKind.OPENAI or len(self.lm_urls) != 1):
            raise ValueError("lm_batch needs lm=openai and one lm_url: the batch API of one server is asked")
        if (self.price_prompt is None) != (self.price_completion is None):
            raise ValueError("a price needs both price_prompt and price_completion")
        return self

    @model_validator(mode="after")
    def _kafka_is_complete(self) -> "Settings":
        password = self.kafka_password is not None or self.kafka_password_file is not None
        if self.kafka_sasl is not None and (self.kafka_username is None or not password):
            raise ValueError("kafka_sasl needs kafka_username and kafka_password_file (or kafka_password)")
        if self.kafka_sasl is None and (self.kafka_username is not None or password):
            raise ValueError("kafka_username and its password need kafka_sasl: say which mechanism to log in with")
        if not self.kafka_tls and (self.kafka_ca_file or self.kafka_certificate_file or self.kafka_key_file):
            raise ValueError("kafka_ca_file, kafka_certificate_file and kafka_key_file need kafka_tls")
        return self

    @property
    def lm_urls(self) -> tuple[str, ...]:
        """Return the base URLs of the servers that offer the model."""
        return tuple(url.strip() for url in (self.lm_url or "").split(",") if url.strip())

    @property
    def api(self) -> LmApi:
        """Return which endpoint is called: what runs on this machine completes texts unless chat is asked for."""
        if self.lm is LmKind.OPENAI or "lm_api" in self.model_fields_set:
            return self.lm_api
        return "completions"

    @property
    def asked_form(self) -> Form | None:
        """Return the form that is asked for; none for the one that fits."""
        return None if self.form == "auto" else Form(self.form)

    @property
    def compares_meanings(self) -> bool:
        """Return whether a new run is to compare meanings."""
        return self.semantic or self.semantic_threshold is not None

    @property
    def on_kafka(self) -> bool:
        """Return whether the log is Kafka's."""
        return self.broker.startswith("kafka://")

    def prices_for(self, asked: str) -> PriceTable | None:
        """Return the prices that hold where a model of this name is asked."""
        return table_in_force(self.prices, asked, self.price_prompt, self.price_completion)

    @property
    def work_partitions(self) -> int:
        """Return how many partitions a new run's work topics get."""
        return self.partitions or (12 if self.on_kafka else 1)

    @property
    def sqlite_file(self) -> Path:
        """The embedded broker's file for this run."""
        return Path(self.broker.removeprefix("sqlite:")) / f"{self.run}.sqlite3"

    @property
    def calls_in_flight(self) -> int:
        """How many calls may be in flight at once."""
        if self.concurrency is not None:
            return self.concurrency
        if self.lm_batch:
            return 2_000
        return 4 if self.lm is LmKind.LOCAL else 32


def load_settings(flags: dict[str, Any]) -> Settings:
    """Return the settings in force; `flags` are those given, without the others.

    Raises:
        ConfigurationError: a value is not what it should be; names it and where it can come from.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigurationError(_explained(error)) from error
    except ValueError as error:
        raise ConfigurationError(f"{TOML_FILE}: {error}") from error


def _explained(error: ValidationError) -> str:
    """Say which setting is wrong, what came and what was expected; a secret is not repeated."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    if not name:
        return what
    if first["type"] == "extra_forbidden":
        return f"{name} in {TOML_FILE}: there is no such setting; `seedstream config` lists those that there are"
    said = _EXPECTED.get(name, what)
    came = "" if any(word in name for word in _SECRET) else f", got {first['input']!r}"
    variable = f"SEEDSTREAM_{name.partition('.')[0].upper()}"
    places = f"its flag, {variable}" if "." not in name else variable
    return f"{name} ({places} or {TOML_FILE}): {said}{came}"


def origins(flags: dict[str, Any]) -> dict[str, str]:
    """Return for each setting where its value comes from: flag, environment, file or default."""
    found = dict.fromkeys(Settings.model_fields, "default")
    for origin, names in (
        (TOML_FILE, _TomlSource(Settings)()),
        ("environment", EnvSettingsSource(Settings)()),
        ("flag", [name for name, value in flags.items() if value is not None]),
    ):
        found.update(dict.fromkeys(names, origin))
    return found
