"""What the servers that speak OpenAI's interface do differently, as a table. Pure.

A profile is where a client begins; what a server refuses by name is learnt from its answer (`adapting`).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

Api = Literal["chat", "completions"]

_OPENAI_STOPS = 4
_MANY_STOPS = 64


class Dialect(StrEnum):
    """The servers that are told apart."""

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
    """Parameters that a request can go without; their names are those of the interface."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    PRESENCE_PENALTY = "presence_penalty"
    FREQUENCY_PENALTY = "frequency_penalty"
    LOGIT_BIAS = "logit_bias"
    SEED = "seed"
    STOP = "stop"


class LengthName(StrEnum):
    """What the most tokens of a completion are called; `AUTO` begins with the old name and may change it once."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    AUTO = "auto"


class Structure(StrEnum):
    """The ways to ask a server for JSON, the strictest first and the words of the prompt alone last."""

    STRICT = "a strict JSON schema"
    SCHEMA = "a JSON schema"
    OBJECT = "any JSON object"
    NONE = "the prompt alone"


class SchemaField(StrEnum):
    """The field of a request that holds its schema: that of OpenAI's interface, or of llama.cpp's completions."""

    RESPONSE_FORMAT = "response_format"
    JSON_SCHEMA = "json_schema"


class AuthHeader(StrEnum):
    """Which header carries the key."""

    BEARER = "Authorization"
    API_KEY = "api-key"


@dataclass(frozen=True, slots=True)
class Profile:
    """How one kind of server wants to be asked.

    `chat_length` holds for chat; /completions knows `max_tokens` only. `stops` is how many stop strings it takes, 0 if
    none. `left_out` are parameters that it refuses, passes over or takes for something else, so they are not sent.
    `top_p_below_one` is true of a server that refuses a top_p of 1, which says nothing. `raw_completions` is false
    where /completions puts the prompt into the model's chat template. `states_usage` is whether every answer can be
    expected to count its tokens. `warnings` are for who sets up a run.

    `structure` is how JSON is asked for, on /completions in the field `completions_schema`, if it has one;
    `requires_parameters` is true of a gateway that must be told not to choose a server that ignores it.
    `thinking_tokens` are asked for on top of those for the answer, once the model is known to think.
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
        """Return the name under which the most tokens are asked for."""
        if api == "completions" or self.chat_length is LengthName.AUTO:
            return LengthName.MAX_TOKENS.value
        return self.chat_length.value

    def with_length(self, name: LengthName) -> "Profile":
        """Return this profile with the name of that parameter settled."""
        return replace(self, chat_length=name)

    def with_stops(self, stops: int) -> "Profile":
        """Return this profile with another number of stop strings."""
        return replace(self, stops=stops)

    def with_less_structure(self, api: Api) -> "Profile":
        """Return this profile with the next less strict way to ask for JSON; a bare schema is sent or not."""
        if self.schema_field(api) is SchemaField.JSON_SCHEMA:
            return replace(self, structure=Structure.NONE)
        ways = list(Structure)
        return replace(self, structure=ways[min(ways.index(self.structure) + 1, len(ways) - 1)])

    def without(self, parameter: Parameter) -> "Profile":
        """Return this profile with one parameter left out."""
        return replace(self, left_out=self.left_out | {parameter})

    def with_thinking(self, tokens: int) -> "Profile":
        """Return this profile with so many tokens for thinking."""
        return replace(self, thinking_tokens=tokens)

    def thinking_room(self, asked: int | None) -> int:
        """Return the tokens for thinking: as many as the user asked for, else as were learnt."""
        return self.thinking_tokens if asked is None else asked

    def schema_field(self, api: Api) -> SchemaField | None:
        """Return where a schema goes; none where it cannot be sent, or is not to be any more."""
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
            chat_length=LengthName.MAX_TOKENS,  # it passes over the other name, and then writes without end
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
