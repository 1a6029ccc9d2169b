"""The file of webhooks, and the signatures of deliveries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ConfigurationError
from service.web.webhooks.configuration import read_webhooks
from service.web.webhooks.signature import SIGNATURE, TOLERANCE_S, is_signed, signed_headers

SECRET = "0123456789abcdef0123456789abcdef"
TABLE = '[archive]\nrun = "default"\nurl = "https://example.org/take/T0K3N"\nsecret_file = "hook.key"\n'


def written(folder: Path, text: str, secret: str = SECRET) -> Path:
    (folder / "hook.key").write_text(secret + "\n")
    file = folder / "hooks.toml"
    file.write_text(text)
    return file


def test_a_table_is_a_webhook(tmp_path: Path) -> None:
    (webhook,) = read_webhooks(written(tmp_path, TABLE + 'start = "now"\nbatch = 7\n'))
    assert (webhook.name, webhook.run, webhook.start, webhook.batch) == ("archive", "default", "now", 7)
    assert webhook.secret == SECRET.encode()
    assert webhook.place == "https://example.org"
    assert SECRET not in repr(webhook)
    assert "T0K3N" not in repr(webhook)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("https://example.org/take/T0K3N", "ftp://example.org/T0K3N"), "expected http:// or https://"),
        (("https://example.org/take/T0K3N", "https://T0K3N@example.org"), "no user name or password"),
        (("https://example.org/take/T0K3N", "nonsense T0K3N"), "expected http:// or https://"),
        (("secret_file", "secret_fil"), "secret_fil"),
        (("[archive]", '["../archive"]'), "expected a name"),
        (('"hook.key"', '"absent.key"'), "expected a readable file"),
        (('run = "default"', "run = 7"), "run"),
        (('run = "default"', 'run = "default"\nbatch = 0'), "batch: expected 1 to"),
        ((TABLE, ""), "found none"),
        ((TABLE, "archive = 3"), "expected a table"),
        ((TABLE, "[archive"), "expected a readable TOML file"),
    ],
)
def test_a_wrong_file_is_refused_without_its_secrets(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_webhooks(written(tmp_path, TABLE.replace(*change)))
    assert says in str(caught.value)
    assert "T0K3N" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a secret of 16 bytes"):
        read_webhooks(written(tmp_path, TABLE, "short"))


@given(st.binary(), st.binary(min_size=1), st.integers(-1000, 1000))
def test_a_changed_or_old_delivery_is_not_signed(body: bytes, more: bytes, late_s: int) -> None:
    headers = signed_headers(SECRET.encode(), "r.archive.0-1", 1_000_000, body)
    assert is_signed(SECRET.encode(), headers, body, 1_000_000 + late_s) == (abs(late_s) <= TOLERANCE_S)
    assert not is_signed(SECRET.encode(), headers, body + more, 1_000_000)
    assert not is_signed(b"another secret of the same kind", headers, body, 1_000_000)
    for name in headers:
        assert not is_signed(SECRET.encode(), headers | {name: headers[name] + "0"}, body, 1_000_000)
    assert not is_signed(SECRET.encode(), {}, body, 1_000_000)
    two = headers | {SIGNATURE: f"v1,AAAA {headers[SIGNATURE]}"}
    assert is_signed(SECRET.encode(), two, body, 1_000_000), "a receiver accepts the signatures of two secrets"
