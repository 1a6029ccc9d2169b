"""A language model of canned replies in a process of its own: an OpenAI-compatible server that costs next to nothing.

    python -m benchmarks.stub --latency 0.5 --replies 2000

It prints its base URL, then serves until it is terminated. Its HTTP is just what a client of this project sends. A
reply has eight tasks, in the form that the request asks for; some tasks repeat an earlier one but for a word, so that
the filter has something to refuse. GET /stats returns the counts and times since GET /reset.
"""

import argparse
import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson

from benchmarks.texts import TokenStore

TASKS = 8
MODEL = "stub"
_REPEATED = 0.3
_NO_INPUT = 0.5
_FIRST_NUMBER = {"alpaca": 4, "tasks": 9}
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MAX_TOKENS = re.compile(rb'"max_tokens":(\d+)')
# The recipes' limits tell the stages apart.
_ALPACA_TOKENS, _TASKS_TOKENS, _INSTANCES_TOKENS = 3_000, 1_000, 100


def kind_of(body: bytes) -> str:
    """Return what a request asks for: `alpaca`, `json` (Alpaca by a chat model), `tasks`, `instances` or `verdict`."""
    found = _MAX_TOKENS.search(body)
    limit = int(found[1]) if found is not None else 0
    if limit >= _ALPACA_TOKENS:
        return "json" if b'"messages":' in body else "alpaca"
    if limit >= _TASKS_TOKENS:
        return "tasks"
    return "instances" if limit >= _INSTANCES_TOKENS else "verdict"


def _alpaca(tasks: Sequence[tuple[str, str, str]]) -> str:
    blocks = [
        f"{number}. Instruction: {instruction}\n{number}. Input:\n{given or '<noinput>'}\n{number}. Output:\n{output}\n"
        for number, (instruction, given, output) in enumerate(tasks, _FIRST_NUMBER["alpaca"])
    ]
    return "\n###\n".join(blocks).removeprefix(f"{_FIRST_NUMBER['alpaca']}. Instruction:")


def _json(tasks: Sequence[tuple[str, str, str]]) -> str:
    fields = ("instruction", "input", "output")
    return orjson.dumps({"tasks": [dict(zip(fields, task, strict=True)) for task in tasks]}).decode()


def _numbered(tasks: Sequence[tuple[str, str, str]]) -> str:
    first = _FIRST_NUMBER["tasks"]
    lines = [f"{number}. {instruction}" for number, (instruction, _, _) in enumerate(tasks, first)]
    return "\n".join(lines).removeprefix(f"{first}.")


_FORMS: dict[str, Callable[[Sequence[tuple[str, str, str]]], str]] = {
    "alpaca": _alpaca,
    "json": _json,
    "tasks": _numbered,
    "instances": lambda tasks: f"Output: {tasks[0][2]}",
    "verdict": lambda _: " No",
}


def response(kind: str, text: str) -> bytes:
    """Return the whole HTTP response with a completion."""
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop"}
    if kind == "json":
        choice["message"] = {"role": "assistant", "content": text}
    else:
        choice["text"] = text
    words = len(text.split())
    usage = {"prompt_tokens": 700, "completion_tokens": words, "total_tokens": 700 + words}
    return _http(orjson.dumps({"id": "stub-1", "object": kind, "model": MODEL, "choices": [choice], "usage": usage}))


def _http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


class Replies:
    """The canned replies of each kind, made when the first is asked for and given in turn."""

    def __init__(self, count: int) -> None:
        texts = TokenStore(random.Random("stub"))  # noqa: S311 - made-up text
        rng = random.Random("inputs")  # noqa: S311 - a choice
        self._tasks = [
            [
                (
                    texts.instruction(_REPEATED),
                    "" if rng.random() < _NO_INPUT else texts.instruction(),
                    f"{texts.instruction()} {texts.instruction()}",
                )
                for _ in range(TASKS)
            ]
            for _ in range(count)
        ]
        self._made: dict[str, list[bytes]] = {}

    def prepare(self, kind: str) -> None:
        """Make the replies of a kind."""
        self._made[kind] = [response(kind, _FORMS[kind](tasks)) for tasks in self._tasks]

    def next(self, kind: str, number: int) -> bytes:
        """Return reply `number` of a kind; after the last comes the first again."""
        if kind not in self._made:
            self.prepare(kind)
        made = self._made[kind]
        return made[number % len(made)]


@dataclass(slots=True)
class Stats:
    """The completions since the last reset: how many of each kind, when they were asked for, when answered."""

    kinds: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    first_s: float = 0.0
    last_s: float = 0.0

    def facts(self) -> dict[str, object]:
        """Return them as plain values; the times are of the machine's monotonic clock."""
        return {"kinds": dict(self.kinds), "answered": self.answered, "first_s": self.first_s, "last_s": self.last_s}


@dataclass(slots=True)
class Model:
    """The state that all connections share."""

    replies: Replies
    latency_s: float
    stats: Stats = field(default_factory=Stats)

    def get(self, path: bytes) -> bytes:
        """Return the response to a request without a body."""
        if path.endswith(b"/models"):
            return _http(orjson.dumps({"object": "list", "data": [{"id": MODEL, "owned_by": "vllm"}]}))
        if path == b"/stats":
            return _http(orjson.dumps(self.stats.facts()))
        if path == b"/reset":
            self.stats = Stats()
            return _http(b"{}")
        return _http(b"{}", "404 Not Found")


class Connection(asyncio.Protocol):
    """A connection that is kept alive; a client sends the next request once it has the response."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is complete."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        end = buffer.find(_HEAD_END)
        if end < 0:
            return
        length = _LENGTH.search(buffer, 0, end)
        body_at = end + len(_HEAD_END)
        if length is not None and len(buffer) < body_at + int(length[1]):
            return
        self._buffer = b""
        method, path = buffer[: buffer.find(b"\r\n")].split(b" ")[:2]
        if method == b"GET":
            self._send(self._model.get(path))
        else:
            self._complete(buffer[body_at:])

    def _complete(self, body: bytes) -> None:
        stats, kind = self._model.stats, kind_of(body)
        reply = self._model.replies.next(kind, stats.kinds[kind])
        stats.first_s = stats.first_s or time.monotonic()
        stats.kinds[kind] += 1
        if self._model.latency_s:
            asyncio.get_running_loop().call_later(self._model.latency_s, self._answer, reply)
        else:
            self._answer(reply)

    def _answer(self, reply: bytes) -> None:
        stats = self._model.stats
        stats.answered += 1
        stats.last_s = time.monotonic()
        self._send(reply)

    def _send(self, reply: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(reply)


async def serve(model: Model) -> None:
    """Serve on a free port until cancelled; the address goes to standard output."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(model), "127.0.0.1", 0, backlog=4096)
    async with server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds for each completion")
    parser.add_argument("--replies", type=int, default=2_000, help="number of different replies")
    parser.add_argument("--kinds", nargs="*", default=["alpaca"], help="replies to make before the first request")
    given = parser.parse_args()
    model = Model(Replies(given.replies), given.latency)
    for kind in given.kinds:
        model.replies.prepare(kind)
    asyncio.run(serve(model))


if __name__ == "__main__":
    main()
