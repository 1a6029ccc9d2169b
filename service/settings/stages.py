"""Settings that name the model of one stage: a table `[stages.…]`, and the types that it shares with all settings."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from service.selfinstruct.steps import Step

FormChoice = Literal["auto", "text", "json"]
LmApi = Literal["chat", "completions"]
LmDialect = Literal[
    "auto", "openai", "azure", "vllm", "sglang", "llamacpp", "ollama", "tgi", "openrouter", "litellm", "generic"
]
ThinkingTokens = Annotated[int, Field(ge=0)] | Literal["auto"]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PerMinute = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda given: [name.strip() for name in given.split(",")] if isinstance(given, str) else given),
]


class LmKind(StrEnum):
    """Kind of language model: a local GGUF file, an OpenAI-compatible server, or the simulator."""

    LOCAL = "local"
    OPENAI = "openai"
    SIMULATOR = "simulator"


class StageSettings(BaseModel):
    """The model of one stage: the settings of these names that differ from the run's."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    lm: LmKind | None = None
    lm_url: str | None = None
    model: str | None = None
    model_file: Path | None = None
    form: FormChoice | None = None
    lm_api: LmApi | None = None
    lm_dialect: LmDialect | None = None
    lm_omit: Names | None = None
    lm_thinking_tokens: ThinkingTokens | None = None
    lm_end_of_text_token: int | None = None
    lm_headers: dict[str, SecretStr] | None = None
    lm_api_key: SecretStr | None = None
    lm_api_key_file: Path | None = None
    lm_timeout_s: Annotated[float, Field(gt=0)] | None = None
    price_prompt: Dollars | None = None
    price_completion: Dollars | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    rpm: PerMinute | None = None
    tpm: PerMinute | None = None
    max_in_flight: Annotated[int, Field(ge=0)] | None = None

    def given(self) -> dict[str, Any]:
        """Return the values that the table has, with the kind of model that they imply."""
        found = {name: value for name in self.model_fields_set if (value := getattr(self, name)) is not None}
        if "lm_url" in found:
            return {"lm": LmKind.OPENAI, **found}
        return {"lm": LmKind.LOCAL, **found} if "model_file" in found else found


# Settings that belong to a server, and settings that belong to a model on it: another one does not inherit them.
OF_SERVER = ("lm_dialect", "lm_headers", "lm_api_key", "lm_api_key_file")
OF_MODEL = ("price_prompt", "price_completion")
_WHICH = {"lm", "lm_url", "model", "model_file"}
_OF_STAGE = {"form", "lm_api"}
# Stages that ask the same model on the same server have these in common.
IN_COMMON = tuple(name for name in StageSettings.model_fields if name not in _WHICH | _OF_STAGE)


def check_names(tables: Any) -> Any:
    """Return tables by stage unchanged if their stages and keys exist.

    Raises:
        ValueError: a name is unknown; the message has the nearest one.
    """
    if not isinstance(tables, dict):
        raise ValueError("expected a table for each stage: [stages.instances] and so on")  # noqa: TRY004 - pydantic's
    roles = {step.stage: step.value for step in Step}
    for stage, table in tables.items():
        if stage not in set(Step):
            raise ValueError(_unknown("stage", stage, Step, roles.get(stage)))
        for key in table if isinstance(table, dict) else ():
            if key not in StageSettings.model_fields:
                raise ValueError(f"[stages.{stage}]: {_unknown('key', key, StageSettings.model_fields)}")
    return tables


def _unknown(what: str, name: str, known: Iterable[str], meant: str | None = None) -> str:
    nearest = [meant] if meant is not None else get_close_matches(str(name), list(known), n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    return f"there is no {what} {name!r}; {hint}"
