"""Reads the body and the query of a request as structs, and refuses what is not expected."""

from http import HTTPStatus
from typing import Any, TypeVar

import anyio
import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from service.web.problems import ProblemError
from service.web.refusals import refusal

_BODY_WITHIN_S = 15.0

S = TypeVar("S", bound=Struct)


async def body_of(request: web.Request, kind: type[S]) -> S:
    """Return the JSON body of a request.

    Raises:
        ProblemError: it is no JSON, no `kind`, compressed, or does not come in time.
        HTTPRequestEntityTooLarge: it is too long.
    """
    if request.content_type != "application/json" or hdrs.CONTENT_ENCODING in request.headers:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected Content-Type application/json and no Content-Encoding"
        )
    try:
        with anyio.fail_after(_BODY_WITHIN_S):
            body = await request.read()
    except TimeoutError as error:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, f"expected the whole body within {_BODY_WITHIN_S:g} s"
        ) from error
    try:
        return msgspec.convert(_whole(msgspec.json.decode(body)), kind)
    except msgspec.ValidationError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, refusal(error, kind)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"expected JSON: {error}") from error


def _whole(value: Any) -> Any:
    """Return a JSON value with `7.0` as 7: JSON has one kind of numbers, and JSON Schema takes both for integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return value


def query_of(request: web.Request, kind: type[S]) -> S:
    """Return the parameters of a request's query; numbers and booleans are read from their texts.

    Raises:
        ProblemError: a parameter is unknown, repeated, or has another value than expected.
    """
    given = dict(request.query)
    if len(given) < len(request.query):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "expected each parameter of the query once, and one is repeated")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"query: {refusal(error, kind)}") from error
