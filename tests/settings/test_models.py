"""Settings of the language model's server."""

from pathlib import Path
from typing import get_args

import pytest

from service.adapters.openai import Dialect, OpenAIOptions
from service.adapters.openai.options import AUTO
from service.errors import ConfigurationError
from service.settings import LmDialect, LmKind, load_settings


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_dialect_can_be_set() -> None:
    assert get_args(LmDialect) == (AUTO, *Dialect)
    assert load_settings({"lm_dialect": "vllm"}).lm_dialect == "vllm"
    with pytest.raises(ConfigurationError, match=r"^lm_dialect .*'auto', 'openai'"):
        load_settings({"lm_dialect": "klingon"})


def test_parameters_to_omit_are_lists_in_the_file_and_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).lm_omit == ()
    Path("seedstream.toml").write_text('lm_omit = ["temperature", "stop"]\n')
    assert load_settings({}).lm_omit == ("temperature", "stop")
    monkeypatch.setenv("SEEDSTREAM_LM_OMIT", "top_p, seed")
    assert load_settings({}).lm_omit == ("top_p", "seed")


def test_extra_headers_are_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("seedstream.toml").write_text('[lm_headers]\n"X-Team" = "team-secret"\n')
    settings = load_settings({})
    assert settings.lm_headers["X-Team"].get_secret_value() == "team-secret"
    assert "team-secret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    options = OpenAIOptions("http://host", "m", extra_headers=settings.lm_headers)
    assert "team-secret" not in repr(options)
    monkeypatch.setenv("SEEDSTREAM_LM_HEADERS", '["team-secret"]')
    with pytest.raises(ConfigurationError, match=r"^lm_headers") as caught:
        load_settings({})
    assert "team-secret" not in str(caught.value)


def test_negative_thinking_tokens_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^lm_thinking_tokens"):
        load_settings({"lm_thinking_tokens": -1})


@pytest.mark.parametrize("name", ["flag", "environment", "file"])
def test_a_url_alone_selects_an_openai_server(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flags: dict[str, str] = {}
    match name:
        case "flag":
            flags = {"lm_url": "http://host/v1", "model": "m"}
        case "environment":
            monkeypatch.setenv("SEEDSTREAM_LM_URL", "http://host/v1")
            monkeypatch.setenv("SEEDSTREAM_MODEL", "m")
        case _:
            Path("seedstream.toml").write_text('lm_url = "http://host/v1"\nmodel = "m"\n')
    assert load_settings(flags).lm is LmKind.OPENAI
    assert load_settings({**flags, "lm": "simulator"}).lm is LmKind.SIMULATOR
