"""The lines of a batch: validation of the input file, and the answer to each line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from msgspec import Struct

from service.simulator.completion_routes import charged, understood, written
from service.simulator.error_responses import Refusal, RefusedError
from service.simulator.faults import FAILURES, UNSPOILED, Document, Silence, Spoiled
from service.simulator.journal import NO_ANSWER, Entry
from service.simulator.state import Simulator
from service.simulator.text.word_tables import seeded
from service.simulator.wire_formats import CHAT, COMPLETIONS

PATH = "/v1/batches"
DIALECTS = {"/v1/chat/completions": CHAT, "/v1/completions": COMPLETIONS}

_OK = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """A validation error of an input file; `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Line(Struct, frozen=True):
    """One request of a batch, its body as JSON."""

    custom_id: str
    body: bytes


class Answered(Struct, frozen=True):
    """A line of the output file, or of the error file if `is_good` is false."""

    line: bytes
    is_good: bool


def read_lines(content: bytes, endpoint: str, model: str | None) -> tuple[list[Line], list[Fault]]:
    """Parse an input file into its requests and its validation errors; every line must name `model`, if given."""
    lines: dict[str, Line] = {}
    faults: list[Fault] = []
    for number, raw in enumerate(content.splitlines(), 1):
        read = _read_line(raw, number, endpoint, model)
        if isinstance(read, Line) and read.custom_id in lines:
            message = f"The custom_id {read.custom_id!r} is used more than once."
            read = Fault("duplicate_custom_id", message, number, "custom_id")
        if isinstance(read, Line):
            lines[read.custom_id] = read
        else:
            faults.append(read)
    if not lines and not faults:
        faults.append(Fault("empty_file", "The input file holds no request."))
    return list(lines.values()), faults


def _read_line(raw: bytes, number: int, endpoint: str, model: str | None) -> Line | Fault:
    try:
        request = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Fault("invalid_json_line", "This line is not JSON.", number)
    if not isinstance(request, dict):
        return Fault("invalid_json_line", "This line is not a JSON object.", number)
    body = request.get("body")
    for name, wanted in (("custom_id", None), ("method", "POST"), ("url", endpoint)):
        value = request.get(name)
        if not isinstance(value, str) or (wanted and value != wanted):
            expected = repr(wanted) if wanted else "a string"
            return Fault("invalid_value", f"{name} is {value!r}; expected {expected}.", number, name)
    if not isinstance(body, dict):
        return Fault("missing_required_parameter", "body is missing.", number, "body")
    if model is not None and body.get("model") != model:
        return Fault("model_not_found", f"The model {body.get('model')!r} does not exist.", number, "model")
    return Line(request["custom_id"], orjson.dumps(body))


def answered(simulator: Simulator, line: Line, endpoint: str, key: str | None) -> Answered:
    """Answer one line, charge and record it, and return its result line."""
    entry = simulator.journal.open(PATH)
    entry.key = key
    try:
        response = _response(simulator, line, endpoint, entry)
    finally:
        simulator.journal.close(entry)
    if response is None:
        return failed_line(line, "server_error", "The model did not answer.")
    request = {"id": f"batch_req_{entry.seq}", "custom_id": line.custom_id, "response": response, "error": None}
    return Answered(orjson.dumps(request), entry.status == _OK)


def failed_line(line: Line, code: str, message: str) -> Answered:
    """Return the result line of a request without a response."""
    error = {"code": code, "message": message}
    request = {"id": f"batch_req_{line.custom_id}", "custom_id": line.custom_id, "response": None, "error": error}
    return Answered(orjson.dumps(request), is_good=False)


def shuffled(lines: Sequence[bytes], seed: int) -> bytes:
    """Return the content of a result file, with its lines shuffled: their order is not that of the requests."""
    rows = list(lines)
    seeded(seed, "batch order").shuffle(rows)
    return b"".join(row + b"\n" for row in rows)


def _response(simulator: Simulator, line: Line, endpoint: str, entry: Entry) -> Mapping[str, Any] | None:
    """Return the `response` of a result line, None if the injected failure is silence."""
    try:
        dialect = DIALECTS[endpoint]
        call = understood(simulator, dialect.parse(line.body), entry)
        entry.failure = simulator.injection.failure(simulator.options, None)
        match FAILURES[entry.failure] if entry.failure else UNSPOILED:
            case Refusal() as refusal:
                return _refused(simulator, entry, RefusedError(refusal))
            case Silence():
                entry.status = NO_ANSWER
                return None
            case Spoiled() as spoiled:
                entry.status = _OK
                body = charged(simulator, call, entry, written(simulator, call), spoiled)
                return _told(entry, _half(body) if spoiled.broken else body)
    except RefusedError as refused:
        return _refused(simulator, entry, refused)


def _refused(simulator: Simulator, entry: Entry, refused: RefusedError) -> Mapping[str, Any]:
    answer = refused.answer(simulator.options)
    entry.status = answer.status
    return _told(entry, _json_or_text(answer.text or ""))


def _told(entry: Entry, body: object) -> Mapping[str, Any]:
    return {"status_code": entry.status, "request_id": f"req_{entry.seq}", "body": body}


def _half(body: Document) -> str:
    text = orjson.dumps(body).decode()
    return text[: len(text) // 2]


def _json_or_text(said: str) -> object:
    try:
        return orjson.loads(said)
    except orjson.JSONDecodeError:
        return said
