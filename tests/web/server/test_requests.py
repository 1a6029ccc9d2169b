"""Requests that are taken, by host, origin and size; and the headers of every answer."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import anyio
import pytest

from tests.web.service import ADMIN, JSON, Service, bearer, served

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]
_ELSEWHERE = "https://evil.example"
_LISTED = "https://desk.example"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with served(tmp_path, web_hosts="desk.local", web_origins=_LISTED) as service:
        yield service


@pytest.mark.parametrize("path", ["/livez", "/v1/runs", "/v1/runs/none", "/nothing", "/"])
async def test_every_answer_has_the_headers_of_security(service: Service, path: str) -> None:
    headers = (await service.get(path)).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Server"] == "seedstream"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8080", "desk.local", "DESK.local.:80"])
async def test_hosts_of_this_service_are_answered(service: Service, host: str) -> None:
    assert (await service.get("/v1/runs", headers={"Host": host})).status == HTTPStatus.OK


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "desk.local.evil", "", "a b", "[::1", "@"])
async def test_a_foreign_host_is_refused(service: Service, host: str) -> None:
    answer = await service.get("/v1/runs", headers={"Host": host})
    assert answer.status in {HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.BAD_REQUEST}


@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\nHost: evil.example\r\n"], ids=["none", "two"])
async def test_a_request_has_one_host(service: Service, hosts: str) -> None:
    assert (await _raw(service, f"GET /v1/runs HTTP/1.1\r\n{hosts}\r\n")).split(" ")[1] == "400"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": _ELSEWHERE},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": _ELSEWHERE, "Sec-Fetch-Site": "same-origin"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/a/goal"])
async def test_a_foreign_page_cannot_change_things(service: Service, headers: dict[str, str], path: str) -> None:
    method = "POST" if path == "/v1/runs" else "PATCH"
    answer = await service.ask(method, path, headers=headers, json={})
    assert answer.status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_form_cannot_change_things(service: Service, kind: str) -> None:
    answer = await service.post("/v1/runs", data="{}", headers={"Content-Type": kind})
    assert answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("headers", [{}, {"Origin": _ELSEWHERE}, {"Sec-Fetch-Site": "cross-site"}])
async def test_a_session_changes_things_from_our_page_alone(
    tmp_path: Path, tokens: Path, headers: dict[str, str]
) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        own = service.own_page
        cookie = await service.session(ADMIN)
        refused = await service.ask("PATCH", "/v1/runs/none/goal", json={}, headers=cookie | headers)
        taken = await service.ask("PATCH", "/v1/runs/none/goal", json={}, headers=cookie | own)
        by_token = await service.ask("PATCH", "/v1/runs/none/goal", json={}, headers=bearer(ADMIN) | headers)
        assert refused.status == HTTPStatus.FORBIDDEN
        assert (taken.status, by_token.status) == (HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND)


@pytest.mark.parametrize("headers", [{}, {"Origin": _ELSEWHERE}])
async def test_a_login_comes_from_our_page(tmp_path: Path, tokens: Path, headers: dict[str, str]) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        answer = await service.post("/login", json={"token": ADMIN}, headers=headers)
        assert answer.status == HTTPStatus.FORBIDDEN


async def test_a_listed_origin_may_call_without_cookies(service: Service) -> None:
    asked = {"Origin": _LISTED, "Access-Control-Request-Method": "PATCH"}
    preflight = await service.ask("OPTIONS", "/v1/runs/a/goal", headers=asked)
    assert preflight.status == HTTPStatus.NO_CONTENT
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    answer = await service.get("/v1/runs", headers={"Origin": _LISTED})
    assert answer.headers["Access-Control-Allow-Origin"] == _LISTED
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_an_unlisted_origin_gets_no_permission(service: Service) -> None:
    asked = {"Origin": _ELSEWHERE, "Access-Control-Request-Method": "PATCH"}
    for answer in (
        await service.ask("OPTIONS", "/v1/runs", headers=asked),
        await service.get("/v1/runs", headers={"Origin": _ELSEWHERE}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_body_has_a_limit(service: Service) -> None:
    answer = await service.post("/login", data=b'{"token": "' + b"x" * 300_000 + b'"}', headers=_own(service))
    assert answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", HTTPStatus.BAD_REQUEST),
        (b"{", HTTPStatus.BAD_REQUEST),
        (b"\xff\xfe", HTTPStatus.BAD_REQUEST),
        (b"[" * 100_000, HTTPStatus.BAD_REQUEST),
        (b'{"token": "x", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", HTTPStatus.BAD_REQUEST),
        (b"[]", HTTPStatus.UNPROCESSABLE_ENTITY),
        (b"{}", HTTPStatus.UNPROCESSABLE_ENTITY),
        (b'{"token": 1}', HTTPStatus.UNPROCESSABLE_ENTITY),
        (b'{"token": "x", "more": 1}', HTTPStatus.UNPROCESSABLE_ENTITY),
    ],
    ids=["empty", "cut", "no text", "deep", "deep unknown", "array", "nothing", "number", "unknown"],
)
async def test_a_body_that_is_none_is_refused(service: Service, body: bytes, status: HTTPStatus) -> None:
    answer = await service.post("/login", data=body, headers=_own(service))
    assert answer.status in {status, HTTPStatus.UNPROCESSABLE_ENTITY} if b"more" in body else answer.status == status
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
async def test_a_method_that_a_path_lacks_is_refused(service: Service, method: str) -> None:
    answer = await service.ask(method, "/v1/runs/none", headers={"Content-Type": "text/plain"})
    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST", "GET"])
async def test_an_unknown_path_is_not_found(service: Service, method: str) -> None:
    assert (await service.ask(method, "/v1/nothing", data=b"x")).status == HTTPStatus.NOT_FOUND


async def test_a_compressed_body_is_refused(service: Service) -> None:
    answer = await service.post("/login", data=b"x", headers=_own(service) | {"Content-Encoding": "gzip"})
    assert answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize(
    "request_text",
    [
        f"GET /{'x' * 10_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 10_000}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(100)) + "\r\n",
    ],
    ids=["line", "field", "many"],
)
async def test_headers_have_limits(service: Service, request_text: str) -> None:
    assert (await _raw(service, request_text)).split(" ")[1] in {"400", "414", "431"}


def _own(service: Service) -> dict[str, str]:
    return service.own_page | JSON


async def _raw(service: Service, request_text: str) -> str:
    """Send a request as it is, and return the beginning of the answer."""
    assert service.url.host is not None
    assert service.url.port is not None
    with anyio.fail_after(30):
        async with await anyio.connect_tcp(service.url.host, service.url.port) as stream:
            await stream.send(request_text.encode())
            return (await stream.receive()).decode()
