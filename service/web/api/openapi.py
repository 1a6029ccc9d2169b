"""The OpenAPI document, made from the operations and their structs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web
from anyio import to_thread

from service.settings import RUN_NAME
from service.web.api.charts import NAMES
from service.web.api.operation import JSON, Operation
from service.web.api.operations import DESCRIBED
from service.web.problems import CONTENT_TYPE, Problem

_REF = "#/components/schemas/{name}"
# Every operation that needs a token may have these.
_EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_OF_BODIES = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_PATH_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "run": {"type": "string", "pattern": RUN_NAME},
    "name": {"type": "string", "enum": list(NAMES)},
}
_LINES = {"type": "string"}
_DEFAULT_PATH_SCHEMA = {"type": "string", "minLength": 1}


async def show_document(_: web.Request) -> web.Response:
    """Answer with the OpenAPI document."""
    return web.Response(body=await to_thread.run_sync(document), content_type=JSON)


@cache
def document() -> bytes:
    """Return the OpenAPI document as JSON."""
    return msgspec.json.encode(describe(DESCRIBED))


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of operations."""
    kinds = [kind for each in operations for kind in _kinds_of(each)]
    schemas, components = msgspec.json.schema_components([*kinds, Problem], ref_template=_REF)
    found = dict(zip([*kinds, Problem], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        query = [] if each.query is None else _query_parameters(components.pop(each.query.__name__))
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, found, query)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Seedstream",
            "version": version("seedstream"),
            "description": "Runs of Self-Instruct as a stream: their state, their tasks, and how to steer them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "seedstream_session"},
            },
        },
        "security": [{"token": []}, {"session": []}, {}],
    }


def _kinds_of(operation: Operation) -> Iterable[Any]:
    yield from operation.answers
    yield from operation.body
    if operation.query is not None:
        yield operation.query


def _operation(operation: Operation, schemas: Mapping[Any, Any], query: Sequence[Any]) -> dict[str, Any]:
    statuses = sorted({*_EVERYWHERE, *operation.problems, *(_OF_BODIES if operation.body else ())})
    problem = {"content": {CONTENT_TYPE: {"schema": schemas[Problem]}}}
    answer = {operation.media: {"schema": _any_of(schemas, operation.answers) if operation.media == JSON else _LINES}}
    answer |= {media: {"schema": _LINES} for media in operation.streams}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *query],
        "responses": {str(int(operation.status)): {"description": operation.summary, "content": answer}}
        | {str(int(status)): {"description": status.phrase} | problem for status in statuses},
    }
    if operation.body:
        content = {JSON: {"schema": _any_of(schemas, operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _any_of(schemas: Mapping[Any, Any], kinds: Sequence[Any]) -> Any:
    return schemas[kinds[0]] if len(kinds) == 1 else {"anyOf": [schemas[kind] for kind in kinds]}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS.get(name, _DEFAULT_PATH_SCHEMA)}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters that are the fields of a struct, whose defaults make them optional."""
    return [
        {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": schema}
        for name, schema in described["properties"].items()
    ]
