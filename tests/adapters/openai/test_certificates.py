"""Certificates of authorities: those of the system count for https."""

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions, certificates
from service.lm.errors import AttemptFailedError, Failing

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate"),
]

_CERTIFY = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -days 2"


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of a certificate for this machine, signed by itself, and of its key."""
    folder = tmp_path_factory.mktemp("certified")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(["openssl", *_CERTIFY.split(), *files], check=True, capture_output=True, timeout=30)
    return certificate, key


@pytest.fixture(autouse=True)
def _not_loaded_yet() -> Iterator[None]:
    certificates.authorities.cache_clear()
    yield
    certificates.authorities.cache_clear()


@asynccontextmanager
async def secure_endpoint(certified: tuple[Path, Path]) -> AsyncIterator[OpenAIEndpoint]:
    """Serve a list of models over https, and yield an endpoint that asks this server."""

    async def listed(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "a"}]})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certified)
    app = web.Application()
    app.router.add_get("/v1/models", listed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        async with OpenAIEndpoint(OpenAIOptions(f"https://127.0.0.1:{runner.addresses[0][1]}", "a")) as endpoint:
            yield endpoint
    finally:
        await runner.cleanup()


async def test_a_server_that_the_system_trusts_is_asked(
    certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certified[0]))  # where OpenSSL looks for the system's authorities
    async with secure_endpoint(certified) as endpoint:
        assert await endpoint.models() == ["a"]


async def test_a_server_that_nobody_vouches_for_is_not_asked(certified: tuple[Path, Path]) -> None:
    async with secure_endpoint(certified) as endpoint:
        with pytest.raises(AttemptFailedError, match="certificate verify failed") as failed:
            await endpoint.models()
    assert failed.value.failing is Failing.CONNECTION
