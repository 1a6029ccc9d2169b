"""Detects the kind of server: from its host, its response headers and list of models, then from URLs of one kind."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from service.adapters.openai.model_list import (
    Clue,
    ListedModel,
    clue_in_headers,
    clue_in_model_list,
    is_ollama,
    read_model_list,
    tgi_context,
)
from service.adapters.openai.options import AUTO, OpenAIOptions
from service.adapters.openai.server_profiles import Dialect
from service.adapters.openai.transport import Answer
from service.adapters.openai.urls import Addresses, dialect_of
from service.lm.errors import AttemptFailedError

Get = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Found:
    """The detected dialect with its evidence, and the server's list of models."""

    clue: Clue
    listed: tuple[ListedModel, ...] = ()


async def find_out(get: Get, options: OpenAIOptions, addresses: Addresses) -> Found:
    """Detect the kind of server; one that is not recognised or does not answer is generic.

    `get` requests a URL and raises `AttemptFailedError` if no response comes.
    """
    listing = await _quietly(get, addresses.models)
    listed = _offers(listing)
    known = _given(options)
    if known is None and listing is None:
        return Found(Clue(Dialect.GENERIC, "it does not answer"))
    if known is None and listing is not None:
        known = clue_in_headers(listing.headers) or clue_in_model_list(listed)
    if known is None or known.dialect is Dialect.TGI:
        return await _ask_around(get, addresses, known, listed)
    return Found(known, listed)


def _given(options: OpenAIOptions) -> Clue | None:
    if options.dialect != AUTO:
        return Clue(Dialect(options.dialect), "it was told")
    dialect = dialect_of(options.base_url)
    return None if dialect is None else Clue(dialect, "its address")


async def _ask_around(get: Get, addresses: Addresses, known: Clue | None, listed: tuple[ListedModel, ...]) -> Found:
    """Request URLs that only one kind of server has: /info, where TGI also reports its context, and /api/version."""
    context = tgi_context(_object(await _quietly(get, f"{addresses.origin}/info")))
    if context is not None:
        told = tuple(replace(offer, context_tokens=context) for offer in listed)
        return Found(known or Clue(Dialect.TGI, "it answers at /info"), told)
    if known is not None:
        return Found(known, listed)
    if is_ollama(_object(await _quietly(get, f"{addresses.origin}/api/version"))):
        return Found(Clue(Dialect.OLLAMA, "it answers at /api/version"), listed)
    return Found(Clue(Dialect.GENERIC, "the server does not identify itself"), listed)


async def _quietly(get: Get, url: str) -> Answer | None:
    try:
        return await get(url)
    except AttemptFailedError:
        return None


def _offers(listing: Answer | None) -> tuple[ListedModel, ...]:
    try:
        return read_model_list(_object(listing))
    except AttemptFailedError:
        return ()


def _object(answer: Answer | None) -> Mapping[str, Any]:
    if answer is None or not answer.is_good:
        return {}
    try:
        reply = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return reply if isinstance(reply, dict) else {}
