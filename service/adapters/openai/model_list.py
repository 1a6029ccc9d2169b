"""Parses a server's list of models, and detects the kind of server from that list and from headers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from service.adapters.openai.server_profiles import Dialect
from service.lm.errors import AttemptFailedError, Failing

_OWNERS = {
    "vllm": Dialect.VLLM,
    "sglang": Dialect.SGLANG,
    "llamacpp": Dialect.LLAMACPP,
    "library": Dialect.OLLAMA,
}
_SERVERS = {"llama.cpp": Dialect.LLAMACPP}
_HEADERS = (("x-litellm-", Dialect.LITELLM), ("openai-version", Dialect.OPENAI))
# vLLM and SGLang, OpenRouter, Groq.
_CONTEXT = ("max_model_len", "context_length", "context_window")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """An entry of a server's list of models; `context_tokens` is `None` if the server does not report it."""

    name: str
    owner: str = ""
    context_tokens: int | None = None


class Clue(Struct, frozen=True):
    """A detected dialect; `how` describes the evidence, for the user."""

    dialect: Dialect
    how: str


def read_model_list(reply: Mapping[str, Any]) -> tuple[ListedModel, ...]:
    """Return the models in a response to GET /models; skip entries without an id.

    Raises:
        AttemptFailedError: the response has no list in `data`.
    """
    entries = reply.get("data")
    if not isinstance(entries, list):
        raise AttemptFailedError(
            Failing.INVALID_BODY, "The server answered 200, but its body lacks a list of models in `data`."
        )
    return tuple(_offer(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str))


def clue_in_headers(headers: Mapping[str, str]) -> Clue | None:
    """Detect the dialect from response headers; a gateway is recognised by these, not by its list of models."""
    server = headers.get("server", "").lower()
    if server in _SERVERS:
        return Clue(_SERVERS[server], f"its header server: {server}")
    for name in map(str.lower, headers):
        for beginning, dialect in _HEADERS:
            if name.startswith(beginning):
                return Clue(dialect, f"its header {name}")
    return None


def clue_in_model_list(listed: tuple[ListedModel, ...]) -> Clue | None:
    """Detect the dialect from the `owned_by` fields of the models."""
    owner = next((offer.owner for offer in listed if offer.owner in _OWNERS), None)
    return None if owner is None else Clue(_OWNERS[owner], f"its models are owned by {owner}")


def is_ollama(reply: Mapping[str, Any]) -> bool:
    """Return whether a response to GET /api/version is Ollama's: an object with only a `version`."""
    return set(reply) == {"version"} and isinstance(reply["version"], str)


def tgi_context(reply: Mapping[str, Any]) -> int | None:
    """Return the context, in tokens, from TGI's response to GET /info, or `None` if the server is not TGI."""
    context = reply.get("max_total_tokens")
    return context if "model_id" in reply and isinstance(context, int) else None


def _offer(entry: Mapping[str, Any]) -> ListedModel:
    owner, meta = entry.get("owned_by"), entry.get("meta")
    told = [entry.get(name) for name in _CONTEXT]
    if isinstance(meta, dict):  # llama.cpp
        told.append(meta.get("n_ctx"))
    context = next((value for value in told if type(value) is int and value > 0), None)
    return ListedModel(entry["id"], owner if isinstance(owner, str) else "", context)
