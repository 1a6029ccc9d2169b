"""Tokens, scopes and sessions, over HTTP."""

import os
from http import HTTPStatus
from pathlib import Path

import anyio
import pytest

from service.errors import ConfigurationError
from service.web.server.access import Scope, Tokens
from tests.web.service import ADMIN, JSON, READER, STEERER, Service, bearer, served, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]
_OPEN = ("/livez", "/readyz")


@pytest.mark.parametrize("token", [READER, STEERER, ADMIN])
async def test_a_token_of_the_file_may_read(tmp_path: Path, tokens: Path, token: str) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        assert (await service.get("/v1/runs", headers=bearer(token))).status == HTTPStatus.OK


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("x" * 20), bearer(""), {"Authorization": f"Basic {READER}"}, {"Authorization": READER}],
    ids=["none", "unknown", "empty", "basic", "bare"],
)
async def test_without_a_valid_token_nothing_is_told(tmp_path: Path, tokens: Path, headers: dict[str, str]) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        for path in ("/v1/runs", "/v1/runs/default", "/v1/nothing", "/nothing"):
            answer = await service.get(path, headers=headers)
            assert answer.status == HTTPStatus.UNAUTHORIZED
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="seedstream"')
            assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", _OPEN)
async def test_health_needs_no_token(tmp_path: Path, tokens: Path, path: str) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        assert (await service.get(path)).status == HTTPStatus.OK


async def test_a_token_in_the_address_is_not_taken(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        assert (await service.get(f"/v1/runs?token={ADMIN}")).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("method", "path", "token", "needed"),
    [
        ("PATCH", "/v1/runs/a/goal", READER, "steer"),
        ("POST", "/v1/runs/a/seeds", READER, "steer"),
        ("POST", "/v1/runs", STEERER, "admin"),
    ],
)
async def test_a_scope_is_needed_to_change_things(
    tmp_path: Path, tokens: Path, method: str, path: str, token: str, needed: str
) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        answer = await service.ask(method, path, headers=bearer(token), json={})
        assert answer.status == HTTPStatus.FORBIDDEN
        assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]


async def test_a_changed_file_of_tokens_is_read_again(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        await anyio.Path(tokens).write_text("new:read:another-token-0123456789\n")
        await until(lambda: _is_refused(service, bearer(READER)))
        answer = await service.get("/v1/runs", headers=bearer("another-token-0123456789"))
        assert answer.status == HTTPStatus.OK


async def test_a_file_that_became_wrong_changes_nothing(tmp_path: Path, tokens: Path) -> None:
    async with Tokens.of(tokens) as found:
        await anyio.Path(tokens).write_text("nonsense\n")
        with pytest.raises(ConfigurationError):
            async with Tokens.of(tokens):
                pass
        await anyio.sleep(1.5)
        assert found.caller(READER) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "at least"),
        ("# only a comment\n", "at least"),
        ("rita\n", "NAME:SCOPE"),
        (f"rita:write:{READER}\n", "read, steer, admin"),
        (":read:0123456789abcdef\n", "NAME:SCOPE"),
        ("rita:read:short\n", "16 to 512"),
        ("rita:read:0123456789abcdé\n", "printable ASCII"),
        (f"a:read:{READER}\nb:admin:{READER}\n", "different tokens"),
    ],
)
async def test_a_wrong_file_of_tokens_is_refused(tmp_path: Path, tokens: Path, text: str, expected: str) -> None:
    await anyio.Path(tokens).write_text(text)
    with pytest.raises(ConfigurationError, match=expected) as raised:
        async with Tokens.of(tokens):
            pass
    assert READER not in str(raised.value)


async def test_a_line_may_have_several_scopes(tmp_path: Path, tokens: Path) -> None:
    async with Tokens.of(tokens) as found:
        caller = found.caller(STEERER)
        assert caller is not None
        assert (caller.name, caller.scope) == ("stan", Scope.STEER)


async def test_a_login_begins_a_session_that_scripts_cannot_read(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        answer = await service.login(READER)
        assert answer.status == HTTPStatus.NO_CONTENT
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert READER not in cookie
        name = cookie.split(";")[0]
        assert (await service.get("/v1/runs", headers={"Cookie": name})).status == HTTPStatus.OK
        assert (await service.get("/v1/runs", headers={"Cookie": name + "x"})).status == HTTPStatus.UNAUTHORIZED


async def test_a_session_over_tls_is_bound_to_its_host(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        secure = service.own_page["Origin"].replace("http://", "https://")
        cookie = (await service.login(READER, Origin=secure)).headers["Set-Cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie.split("; ")


async def test_a_login_with_another_text_fails(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        answer = await service.login("x" * 20)
        assert answer.status == HTTPStatus.FORBIDDEN
        assert "Set-Cookie" not in answer.headers


async def test_a_logout_ends_the_session(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        cookie = await service.session(READER)
        answer = await service.post("/logout", headers=cookie | service.own_page | JSON, data="{}")
        assert answer.status == HTTPStatus.NO_CONTENT
        assert await _is_refused(service, cookie)


async def test_a_session_ends_with_its_token(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_tokens=tokens) as service:
        cookie = await service.session(READER)
        await anyio.Path(tokens).write_text(f"anna:admin:{ADMIN}\n")
        await until(lambda: _is_refused(service, cookie))


async def _is_refused(service: Service, headers: dict[str, str]) -> bool:
    return (await service.get("/v1/runs", headers=headers)).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
async def test_other_machines_are_not_served_without_tokens(tmp_path: Path, tokens: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="expected tokens"):
        async with served(tmp_path, web_host=host):
            pass


async def test_other_machines_are_served_without_tokens_if_asked(tmp_path: Path, tokens: Path) -> None:
    async with served(tmp_path, web_host="0.0.0.0", web_insecure_no_auth=True) as service:
        assert (await service.get(f"http://127.0.0.1:{service.url.port}/v1/runs")).status == HTTPStatus.OK


async def test_the_file_of_tokens_must_be_there(tmp_path: Path, tokens: Path) -> None:
    with pytest.raises(ConfigurationError, match=os.fspath(tmp_path / "none")):
        async with served(tmp_path, web_tokens=tmp_path / "none"):
            pass
