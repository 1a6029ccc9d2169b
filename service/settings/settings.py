"""All settings, their sources and the checks of values that depend on each other."""

import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from service.billing.pricing import PriceTable, table_in_force
from service.selfinstruct.recipe import Form, Language, RecipeName
from service.selfinstruct.steps import Step
from service.settings.stages import (
    IN_COMMON,
    OF_MODEL,
    OF_SERVER,
    Dollars,
    FormChoice,
    LmApi,
    LmDialect,
    LmKind,
    Names,
    PerMinute,
    StageSettings,
    ThinkingTokens,
    check_names,
)
from service.url_masking import masked

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

TOML_FILE = "seedstream.toml"
KAFKA_SCHEME = "kafka://"
KAFKA_PARTITIONS = 12

# Valid in a topic name and as a file name; it cannot contain a path.
RUN_NAME = r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$"
RunName = Annotated[str, StringConstraints(pattern=RUN_NAME)]

RecipeChoice = Annotated[
    RecipeName | Path,
    BeforeValidator(lambda given: Path(given) if str(given).endswith(".toml") else RecipeName(given)),
]

BrokerAddress = Annotated[str, StringConstraints(pattern=r"^(?:sqlite:.+|kafka://[^\s/,@]+:\d+(?:,[^\s/,@]+:\d+)*)$")]


class TomlSource(TomlConfigSettingsSource):
    """Reads the settings file, with or without a byte order mark; some editors add one, and TOML rejects it."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        return tomllib.loads(file_path.read_bytes().decode("utf-8-sig"))


class ModelId(NamedTuple):
    """A model on its server, or on its servers; prices and limits hold for each of these."""

    lm: LmKind
    urls: tuple[str, ...] = ()
    name: str | None = None
    file: Path | None = None

    def __str__(self) -> str:
        return f"{self.name} at {', '.join(map(masked, self.urls))}" if self.urls else f"the model of lm={self.lm}"


class Settings(BaseSettings):
    """All settings. A field name is also the flag, the `SEEDSTREAM_` variable and the key in `seedstream.toml`."""

    model_config = SettingsConfigDict(
        env_prefix="SEEDSTREAM_", toml_file=TOML_FILE, extra="forbid", frozen=True, env_ignore_empty=True
    )
    broker: BrokerAddress = Field(
        default="sqlite:runs", description="location of the log: sqlite:DIR or kafka://HOST:PORT,…"
    )
    run: RunName = Field(default="default", description="name of the run")
    recipe: RecipeChoice = Field(
        default=RecipeName.SELF_INSTRUCT, description="recipe: self-instruct, alpaca, or a file ending in .toml"
    )
    language: Language | None = Field(
        default=None, description="language of the filters: en, as in the papers, or any; default: the recipe's"
    )
    form: FormChoice = Field(
        default="auto",
        description="format of prompts and replies: text, json or auto (json for chat models, else text)",
    )
    semantic: bool = Field(default=False, description="record the nearest task in meaning; does not affect decisions")
    semantic_threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="reject candidates above this cosine similarity in meaning; implies semantic"
    )
    seeds: Path | None = Field(
        default=None, description="file of seed tasks, JSON Lines or a JSON array; default: the bundled seed tasks"
    )
    templates: Path | None = Field(default=None, description="folder of prompt templates that replace the bundled ones")
    about: str | None = Field(
        default=None,
        description="subject of the tasks: a text, a file ending in .txt, or a .toml file with topics and their shares",
    )
    system_prompt: str | None = Field(
        default=None, description="system prompt that precedes every prompt: a text, or a file ending in .txt"
    )
    target: Annotated[int, Field(ge=1)] = Field(default=100, description="number of finished tasks to produce")
    max_prompts: Annotated[int, Field(ge=1)] | None = Field(default=None, description="issue at most this many prompts")
    budget: Dollars | None = Field(
        default=None, description="limit on the cost of the run since its beginning, US dollars; 0 removes the limit"
    )
    max_marginal_cost: Dollars | None = Field(
        default=None,
        description="limit on the average cost of the last 1,000 accepted tasks, US dollars; 0 removes the limit",
    )
    rpm: PerMinute | None = Field(
        default=None, description="limit on calls per minute, for all processes together; 0 removes the limit"
    )
    tpm: PerMinute | None = Field(
        default=None, description="limit on tokens per minute, for all processes together; 0 removes the limit"
    )
    max_in_flight: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="limit on calls in flight, for all processes together; 0 removes the limit"
    )
    patience: Annotated[int, Field(ge=1)] = Field(
        default=200, description="give up after this many prompts in a row without an accepted task"
    )
    seed: int = Field(default=0, description="random seed for sampling and for the simulator")
    lm: LmKind = Field(default=LmKind.LOCAL, description="language model: local, openai or simulator")
    lm_url: str | None = Field(
        default=None,
        description="base URL of an OpenAI-compatible server; separate several servers of the same model by commas",
    )
    model: str | None = Field(default=None, description="name of the model on the server")
    model_file: Path | None = Field(default=None, description="GGUF file for the local model")
    lm_api: LmApi = Field(default="chat", description="API to call: chat or completions")
    lm_dialect: LmDialect = Field(default="auto", description="kind of server; auto detects it")
    lm_omit: Annotated[Names, NoDecode] = Field(
        default=(), description="request parameters never to send, separated by commas"
    )
    lm_thinking_tokens: ThinkingTokens = Field(
        default="auto",
        description="tokens for a model's thinking, added to the recipe's limit; auto detects whether the model thinks",
    )
    lm_headers: dict[str, SecretStr] = Field(default={}, description="extra headers for every call")
    lm_api_key: SecretStr | None = Field(default=None, description="API key; prefer lm_api_key_file")
    lm_api_key_file: Path | None = Field(default=None, description="file that holds the API key")
    lm_timeout_s: Annotated[float, Field(gt=0)] = Field(default=120.0, description="timeout of one attempt, seconds")
    lm_attempts: Annotated[int, Field(ge=1)] = Field(default=10, description="attempts per call")
    lm_gone_s: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="give up after this many seconds with no accepted call; default: 600 for `run`, never for workers",
    )
    lm_batch: bool = Field(default=False, description="use the batch API of the server, which is cheap and slow")
    lm_batch_linger_s: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="send a batch after this many seconds without a new question"
    )
    lm_end_of_text_token: int | None = Field(default=None, description="id of the end-of-text token, which Alpaca bans")
    stages: Annotated[dict[Step, StageSettings], BeforeValidator(check_names)] = Field(
        default={}, description="tables by stage (instructions, classification, instances): its own model and limits"
    )
    prices: PriceTable | None = Field(default=None, description="price table: its version and the prices of each model")
    price_prompt: Dollars | None = Field(
        default=None, description="US dollars per million prompt tokens; overrides prices"
    )
    price_completion: Dollars | None = Field(
        default=None, description="US dollars per million completion tokens; overrides prices"
    )
    concurrency: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="calls in flight; default: 4 for the local model, 2000 with lm_batch, else 32"
    )
    window: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="limit on prompts without a decision; default: twice the calls in flight of this process",
    )
    partitions: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="partitions of each work topic of a new run; default: 1, on Kafka 12"
    )
    replication: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="replication factor of new topics on Kafka; default: 3, or the number of brokers if lower",
    )
    kafka_tls: bool = Field(default=False, description="connect to Kafka over TLS")
    kafka_sasl: SaslMechanism | None = Field(
        default=None, description="SASL mechanism for Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_username: str | None = Field(default=None, description="SASL user name for Kafka")
    kafka_password: SecretStr | None = Field(
        default=None, description="SASL password for Kafka; prefer kafka_password_file"
    )
    kafka_password_file: Path | None = Field(default=None, description="file that holds the SASL password for Kafka")
    kafka_ca_file: Path | None = Field(
        default=None, description="certificate of the CA that signed the brokers' certificates, PEM"
    )
    kafka_certificate_file: Path | None = Field(default=None, description="client certificate for Kafka, PEM")
    kafka_key_file: Path | None = Field(
        default=None, description="private key of the client certificate, PEM, not encrypted"
    )
    kafka_session_s: Annotated[float, Field(ge=1)] = Field(
        default=6.0, description="session timeout of a consumer group member, seconds"
    )
    kafka_transaction_s: Annotated[float, Field(ge=1)] = Field(
        default=30.0,
        description="transaction timeout, seconds; Kafka then aborts the transaction of a process that hangs",
    )
    kafka_gone_s: Annotated[float, Field(ge=5)] = Field(
        default=120.0, description="give up after this many seconds without an answer from any Kafka broker"
    )
    state_dir: Path | None = Field(
        default=None,
        description="folder for checkpoints, which shorten starts; default: beside the SQLite file, on Kafka none",
    )
    http_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="port on which a worker serves health and metrics"
    )
    http_host: str = Field(default="127.0.0.1", description="address on which a worker serves health and metrics")
    web_host: str = Field(default="127.0.0.1", description="address on which page and REST API are served")
    web_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, description="port of page and REST API; 0 for a free port"
    )
    web_tokens: Path | None = Field(
        default=None, description="file of access tokens, a line NAME:SCOPE,…:TOKEN each; scopes: read, steer, admin"
    )
    web_hosts: Annotated[Names, NoDecode] = Field(
        default=(), description="names by which browsers may reach the page, separated by commas; IP addresses may"
    )
    web_origins: Annotated[Names, NoDecode] = Field(
        default=(), description="origins of other pages that may call the API with a token, separated by commas"
    )
    web_insecure_no_auth: bool = Field(
        default=False, description="serve other machines without tokens: whoever reaches the port may read and steer"
    )
    web_certificate_file: Path | None = Field(default=None, description="certificate for HTTPS, PEM")
    web_key_file: Path | None = Field(default=None, description="private key of web_certificate_file, PEM")
    web_webhooks: Path | None = Field(
        default=None, description="file of webhooks to which finished tasks are delivered, TOML"
    )
    web_streams: Annotated[int, Field(ge=1)] = Field(default=256, description="limit on open streams, in all")
    web_streams_per_token: Annotated[int, Field(ge=1)] = Field(
        default=32, description="limit on open streams for each token"
    )
    drain_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="time for calls in flight to finish after a stop signal, seconds"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="lowest level to log: debug, info, warning or error"
    )
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
        """Order the sources: flags override the environment, which overrides the settings file."""
        return init_settings, env_settings, TomlSource(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _a_url_means_its_server(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Default to `lm=openai` if a base URL is given."""
        return {"lm": LmKind.OPENAI, **given} if given.get("lm_url") else given

    @model_validator(mode="after")
    def _endpoints_are_complete(self) -> "Settings":
        for step in Step:
            try:
                self.of_step(step).check_endpoint()
                self._check_is_asked(step)
            except ValueError as error:
                raise ValueError(f"[stages.{step}]: {error}" if step in self.stages else str(error)) from error
        self._check_same_in_common()
        return self

    def _check_is_asked(self, step: Step) -> None:
        """Raise unless the model that a table names is one of a server."""
        table = self.stages.get(step)
        if table is not None and table.model is not None and self.of_step(step).lm is not LmKind.OPENAI:
            raise ValueError("model needs lm_url: say where the server of the model is")

    def check_endpoint(self) -> None:
        """Check that the settings name a model and its price completely.

        Raises:
            ValueError: a setting is missing, or does not go with another one.
        """
        if self.lm is LmKind.OPENAI and (self.lm_url is None or self.model is None):
            ways = {"lm_url": "say where the server is", "model": "say which model to ask"}
            missing = [name for name in ways if getattr(self, name) is None]
            told = " and ".join(ways[name] for name in missing)
            raise ValueError(f"lm=openai needs lm_url and model, and there is no {' and no '.join(missing)}: {told}")
        if self.lm_batch and (self.lm is not LmKind.OPENAI or len(self.lm_urls) != 1):
            raise ValueError("lm_batch needs lm=openai and one lm_url: the batch API of one server is asked")
        if (self.price_prompt is None) != (self.price_completion is None):
            raise ValueError("a price needs both price_prompt and price_completion")

    def _check_same_in_common(self) -> None:
        """Raise unless the stages that ask the same model agree in all that belongs to it."""
        firsts: dict[ModelId, Step] = {}
        for step, settings in ((step, self.of_step(step)) for step in Step):
            first = firsts.setdefault(settings.asked_model, step)
            other = self.of_step(first)
            for name in IN_COMMON:
                if getattr(settings, name) != getattr(other, name):
                    raise ValueError(
                        f"[stages]: {first} and {step} ask the same model ({settings.asked_model}), and their {name} "
                        "differs: give both the same, or set it outside [stages]"
                    )

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

    @model_validator(mode="after")
    def _https_is_complete(self) -> "Settings":
        if (self.web_certificate_file is None) != (self.web_key_file is None):
            raise ValueError("HTTPS needs both web_certificate_file and web_key_file")
        return self

    def of_step(self, step: Step) -> "Settings":
        """Return the settings of a stage: these, with the values of its table `[stages.…]` if it has one.

        Keys, headers and the dialect belong to a server, and a price to a model: a table that names another one does
        not inherit them.
        """
        table = self.stages.get(step)
        if table is None:
            return self
        given = table.given()
        moved = self.model_copy(update=given | {"stages": {}})
        dropped = {name: None for name in OF_MODEL if moved.asked_model != self.asked_model}
        if (moved.lm, moved.lm_urls) != (self.lm, self.lm_urls):
            dropped |= {name: type(self).model_fields[name].default for name in OF_SERVER}
        elif "lm_api_key" in given:
            dropped["lm_api_key_file"] = None
        return moved.model_copy(update={name: value for name, value in dropped.items() if name not in given})

    @property
    def asks_one_model(self) -> bool:
        """Whether all stages ask the same model on the same server."""
        return len({self.of_step(step).asked_model for step in Step}) == 1

    @property
    def asked_model(self) -> ModelId:
        """Server and model that these settings name."""
        match self.lm:
            case LmKind.OPENAI:
                return ModelId(self.lm, self.lm_urls, self.model)
            case LmKind.LOCAL:
                return ModelId(self.lm, file=self.model_file)
            case _:
                return ModelId(self.lm)

    @property
    def lm_urls(self) -> tuple[str, ...]:
        """Base URLs of the servers, split at commas."""
        return tuple(url.strip() for url in (self.lm_url or "").split(",") if url.strip())

    @property
    def api(self) -> LmApi:
        """API to call: the local model and the simulator use completions unless `lm_api` is set explicitly."""
        if self.lm is LmKind.OPENAI or "lm_api" in self.model_fields_set:
            return self.lm_api
        return "completions"

    @property
    def asked_form(self) -> Form | None:
        """Form set by the user, or `None` for `auto`."""
        return None if self.form == "auto" else Form(self.form)

    @property
    def compares_meanings(self) -> bool:
        """Whether a new run computes similarity in meaning; a threshold implies it."""
        return self.semantic or self.semantic_threshold is not None

    @property
    def on_kafka(self) -> bool:
        """Whether the log is on Kafka rather than in SQLite."""
        return self.broker.startswith(KAFKA_SCHEME)

    def prices_for(self, asked: str) -> PriceTable | None:
        """Return the price table for calls to model `asked`, with `price_prompt` and `price_completion` applied."""
        return table_in_force(self.prices, asked, self.price_prompt, self.price_completion)

    @property
    def work_partitions(self) -> int:
        """Partitions of each work topic of a new run: `partitions`, else 12 on Kafka and 1 on SQLite."""
        return self.partitions or (KAFKA_PARTITIONS if self.on_kafka else 1)

    @property
    def sqlite_file(self) -> Path:
        """SQLite file that holds this run's log; valid only for a `sqlite:` broker."""
        return Path(self.broker.removeprefix("sqlite:")) / f"{self.run}.sqlite3"

    @property
    def state_folder(self) -> Path | None:
        """Folder of this run's checkpoints, or `None` if there are none: on Kafka without `state_dir`."""
        if self.state_dir is None and self.on_kafka:
            return None
        return (self.state_dir or self.sqlite_file.parent) / f"{self.run}.state"

    @property
    def calls_in_flight(self) -> int:
        """Limit on calls in flight of this process: `concurrency`, else a default that depends on the model."""
        if self.concurrency is not None:
            return self.concurrency
        if self.lm_batch:
            return 2_000
        return 4 if self.lm is LmKind.LOCAL else 32
