"""The URLs of a server's methods."""

from typing import Any

import pytest

from service.adapters.openai import OpenAIOptions
from service.errors import ConfigurationError


@pytest.mark.parametrize(
    ("base_url", "dialect", "chat_url", "models_url"),
    [
        ("http://host:8000", "auto", "http://host:8000/v1/chat/completions", "http://host:8000/v1/models"),
        ("http://host:8000/", "auto", "http://host:8000/v1/chat/completions", "http://host:8000/v1/models"),
        ("http://host/v1", "auto", "http://host/v1/chat/completions", "http://host/v1/models"),
        ("http://host/v1/chat/completions", "auto", "http://host/v1/chat/completions", "http://host/v1/models"),
        ("http://host/v1/completions/", "auto", "http://host/v1/chat/completions", "http://host/v1/models"),
        ("https://host/api/v1/", "auto", "https://host/api/v1/chat/completions", "https://host/api/v1/models"),
        (
            "https://host/v1beta/openai",
            "auto",
            "https://host/v1beta/openai/chat/completions",
            "https://host/v1beta/openai/models",
        ),
        ("https://host/proxy", "auto", "https://host/proxy/v1/chat/completions", "https://host/proxy/v1/models"),
        (
            "https://openrouter.ai",
            "auto",
            "https://openrouter.ai/api/v1/chat/completions",
            "https://openrouter.ai/api/v1/models",
        ),
        (
            "https://res.openai.azure.com",
            "auto",
            "https://res.openai.azure.com/openai/v1/chat/completions",
            "https://res.openai.azure.com/openai/v1/models",
        ),
        (
            "https://res.services.ai.azure.com/openai/v1/",
            "auto",
            "https://res.services.ai.azure.com/openai/v1/chat/completions",
            "https://res.services.ai.azure.com/openai/v1/models",
        ),
        (
            "https://res.openai.azure.com/openai/deployments/mine",
            "auto",
            "https://res.openai.azure.com/openai/deployments/mine/chat/completions?api-version=2024-10-21",
            "https://res.openai.azure.com/openai/models?api-version=2024-10-21",
        ),
        (
            "https://res.openai.azure.com?api-version=2025-01-01-preview",
            "auto",
            "https://res.openai.azure.com/openai/deployments/m/chat/completions?api-version=2025-01-01-preview",
            "https://res.openai.azure.com/openai/models?api-version=2025-01-01-preview",
        ),
        (
            "https://gateway.example/team/openai/deployments/mine?api-version=2024-06-01",
            "azure",
            "https://gateway.example/team/openai/deployments/mine/chat/completions?api-version=2024-06-01",
            "https://gateway.example/team/openai/models?api-version=2024-06-01",
        ),
    ],
)
def test_the_base_url_gives_the_urls_of_the_methods(
    base_url: str, dialect: Any, chat_url: str, models_url: str
) -> None:
    found = OpenAIOptions(base_url, "m", dialect=dialect).addresses
    assert (found.chat, found.models) == (chat_url, models_url)
    assert found.completions == chat_url.replace("/chat/completions", "/completions")


@pytest.mark.parametrize(
    "base_url",
    ["", "host:8000", "ftp://host", "http://", "http://host:port", "http://host/v1?key=1", "http://host/v1#a"],
)
def test_an_address_that_cannot_work_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base URL"):
        OpenAIOptions(base_url=base_url, model="m")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="password") as refused:
        OpenAIOptions(base_url="https://user:hunter2@host/v1", model="m")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("base_url", ["http://u:secret/x@host/v1", "u:secret@host/v1", "http:/u:secret@host/v1"])
def test_a_password_in_a_broken_address_is_not_repeated(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        OpenAIOptions(base_url, "m")
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
