"""A table of the differences between servers with an OpenAI-compatible API. Pure.

A client begins with the profile of the server's dialect and adapts it to parameters that the server refuses by name
(`parameter_fallback`).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

Api = Literal["chat", "completions"]

_OPENAI_STOPS = 4
_MANY_STOPS = 64


class Dialect(StrEnum):
    """Kinds of server with a profile of their own; `GENERIC` is any other."""

    OPENAI = "openai"
    AZURE = "azure"
    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMACPP = "llamacpp"
    OLLAMA = "ollama"
    TGI = "tgi"
    OPENROUTER = "openrouter"
    LITELLM = "litellm"
    GENERIC = "generic"


class Parameter(StrEnum):
    """Optional parameters of a request, by their names in the API."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    PRESENCE_PENALTY = "presence_penalty"
    FREQUENCY_PENALTY = "frequency_penalty"
    LOGIT_BIAS = "logit_bias"
    SEED = "seed"
    STOP = "stop"


class LengthName(StrEnum):
    """Name of the parameter that limits completion tokens; `AUTO` begins with the old name and may switch once."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    AUTO = "auto"


class Structure(StrEnum):
    """Ways to ask a server for JSON, from a strict schema to the prompt alone."""

    STRICT = "a strict JSON schema"
    SCHEMA = "a JSON schema"
    OBJECT = "any JSON object"
    NONE = "the prompt alone"


class SchemaField(StrEnum):
    """Field of a request that holds the schema: OpenAI's, or that of llama.cpp's completions."""

    RESPONSE_FORMAT = "response_format"
    JSON_SCHEMA = "json_schema"


class AuthHeader(StrEnum):
    """Name of the header that carries the API key."""

    BEARER = "Authorization"
    API_KEY = "api-key"


@dataclass(frozen=True, slots=True)
class Profile:
    """The form of requests to one kind of server.

    `chat_length` applies to chat; /completions knows only `max_tokens`. `stops` is the number of stop strings that the
    server accepts, 0 for none. `left_out` holds parameters that it refuses, ignores or interprets differently; they are
    not sent. `top_p_below_one` marks a server that refuses a top_p of 1, which has no effect. `raw_completions` is
    false if /completions puts the prompt into the model's chat template. `states_usage` is true if every response
    reports its token counts. `warnings` are shown by `seedstream check`.

    `structure` is how a request asks for JSON; on /completions, the schema is in `completions_schema`, if that is set.
    `requires_parameters` marks a gateway that must be told to avoid upstreams that ignore a parameter.
    `thinking_tokens` are added to the limit for the answer once the model is known to think.
    """

    dialect: Dialect
    chat_length: LengthName = LengthName.AUTO
    stops: int = _OPENAI_STOPS
    left_out: frozenset[Parameter] = frozenset()
    top_p_below_one: bool = False
    raw_completions: bool = True
    states_usage: bool = True
    auth: AuthHeader = AuthHeader.BEARER
    warnings: tuple[str, ...] = ()
    structure: Structure = Structure.STRICT
    completions_schema: SchemaField | None = None
    requires_parameters: bool = False
    thinking_tokens: int = 0

    def length_name(self, api: Api) -> str:
        """Return the name of the parameter that limits completion tokens."""
        if api == "completions" or self.chat_length is LengthName.AUTO:
            return LengthName.MAX_TOKENS.value
        return self.chat_length.value

    def with_length(self, name: LengthName) -> "Profile":
        """Return this profile with a fixed name for the chat length limit."""
        return replace(self, chat_length=name)

    def with_stops(self, stops: int) -> "Profile":
        """Return this profile with another limit on the number of stop strings."""
        return replace(self, stops=stops)

    def with_less_structure(self, api: Api) -> "Profile":
        """Return this profile with the next less strict `Structure`; llama.cpp's `json_schema` is dropped at once."""
        if self.schema_field(api) is SchemaField.JSON_SCHEMA:
            return replace(self, structure=Structure.NONE)
        ways = list(Structure)
        return replace(self, structure=ways[min(ways.index(self.structure) + 1, len(ways) - 1)])

    def without(self, parameter: Parameter) -> "Profile":
        """Return this profile with one more parameter in `left_out`."""
        return replace(self, left_out=self.left_out | {parameter})

    def with_thinking(self, tokens: int) -> "Profile":
        """Return this profile with this number of tokens for thinking."""
        return replace(self, thinking_tokens=tokens)

    def thinking_room(self, asked: int | None) -> int:
        """Return the tokens for thinking: the user's setting `asked`, else the profile's own."""
        return self.thinking_tokens if asked is None else asked

    def schema_field(self, api: Api) -> SchemaField | None:
        """Return the field for a schema, or `None` if the server has none or refused it."""
        if self.structure is Structure.NONE:
            return None
        return SchemaField.RESPONSE_FORMAT if api == "chat" else self.completions_schema


_OLLAMA_CUTS = (
    "Ollama cuts prompts that exceed its context without a word: set OLLAMA_CONTEXT_LENGTH to what the recipe needs, "
    "4,096 or more"
)
_TGI_PENALTY = "TGI takes presence_penalty for a repetition penalty on another scale (2 becomes 4), so it is left out"

PROFILES = {
    profile.dialect: profile
    for profile in (
        Profile(Dialect.OPENAI, chat_length=LengthName.MAX_COMPLETION_TOKENS),
        Profile(Dialect.AZURE, auth=AuthHeader.API_KEY),
        Profile(Dialect.VLLM, stops=_MANY_STOPS, completions_schema=SchemaField.RESPONSE_FORMAT),
        Profile(Dialect.SGLANG, stops=_MANY_STOPS, completions_schema=SchemaField.RESPONSE_FORMAT),
        Profile(
            Dialect.LLAMACPP,
            chat_length=LengthName.MAX_TOKENS,
            stops=_MANY_STOPS,
            completions_schema=SchemaField.JSON_SCHEMA,
        ),
        Profile(
            Dialect.OLLAMA,
            chat_length=LengthName.MAX_TOKENS,  # it ignores the other name and then writes without a limit
            stops=_MANY_STOPS,
            left_out=frozenset({Parameter.LOGIT_BIAS}),
            raw_completions=False,
            warnings=(_OLLAMA_CUTS,),
        ),
        Profile(
            Dialect.TGI,
            chat_length=LengthName.MAX_TOKENS,
            left_out=frozenset({Parameter.LOGIT_BIAS, Parameter.PRESENCE_PENALTY}),
            top_p_below_one=True,
            warnings=(_TGI_PENALTY,),
        ),
        Profile(Dialect.OPENROUTER, raw_completions=False, requires_parameters=True),
        Profile(Dialect.LITELLM),
        Profile(Dialect.GENERIC, states_usage=False),
    )
}
