"""Exhausted quotas and limits per minute, which have similar messages, on the messages of real servers."""

import pytest

from service.lm.errors import AttemptFailedError, EndpointRefusedError, Failing, Refused
from tests.adapters.openai.refusals import error_of, openai


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # OpenAI
        (
            429,
            openai(
                "You exceeded your current quota, please check your plan and billing details.",
                "insufficient_quota",
                "insufficient_quota",
            ),
        ),
        (429, openai("Your account is not active, please check your billing details.", "billing_not_active")),
        (400, openai("Billing hard limit has been reached", "billing_hard_limit_reached")),
        # OpenRouter
        (402, {"error": {"message": "Insufficient credits. Add more using https://…", "code": 402}}),
        (403, {"error": {"message": "Key limit exceeded (total limit). Manage it using https://…", "code": 403}}),
        # DeepSeek
        (402, openai("Insufficient Balance", "invalid_request_error", "unknown_error")),
        (402, b""),
        # LiteLLM
        (429, openai("Budget has been exceeded! Current cost: 26.1, Max budget: 0.25", "429", "budget_exceeded")),
        (400, openai("Budget has been exceeded! Current cost: 26.1, Max budget: 0.25", "400", "budget_exceeded")),
        (400, openai("litellm.BadRequestError: OpenAIException - Budget has been exceeded! Team=99", "400", None)),
        (400, openai("ExceededBudget: End User=x over budget. Spend=0.1, Budget=0.01", "400", "auth_error")),
        (
            429,
            openai("litellm.RateLimitError: OpenAIException - You exceeded your current quota, please check.", "429"),
        ),
        # Anthropic, Moonshot
        (400, openai("Your credit balance is too low to access the Anthropic API.")),
        (429, openai("Your account is suspended, please check your plan", "exceeded_current_quota_error")),
    ],
)
def test_a_used_up_quota_stops_everything(status: int, body: object) -> None:
    error = error_of(status, body, {"retry-after": "1"} if status == 429 else {})
    assert isinstance(error, EndpointRefusedError)
    assert error.refused is Refused.QUOTA
    assert "quota or credit is used up" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        openai("Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000"),
        openai("litellm.RateLimitError: No deployments available for selected model, Try again in 5 seconds.", "429"),
        {"error": {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock more", "code": 429}},
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"raw": "x is temporarily rate-limited upstream. Please retry shortly"},
            }
        },
        # Gemini's message for its limits per minute is OpenAI's message for an empty account.
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan and billing details.\n"
                    "* Quota exceeded for metric: free_tier_requests, limit: 15\nPlease retry in 35.2s.",
                    "status": "RESOURCE_EXHAUSTED",
                }
            }
        ],
        b"",
        b"<html>Too Many Requests</html>",
    ],
)
def test_a_limit_per_minute_is_waited_for(body: object) -> None:
    error = error_of(429, body, {"retry-after": "2"})
    assert isinstance(error, AttemptFailedError)
    assert (error.failing, error.after_s) == (Failing.RATE_LIMITED, 2)


def test_a_402_with_a_retry_after_header_is_waited_for() -> None:
    error = error_of(402, b"", {"retry-after": "30"})
    assert isinstance(error, AttemptFailedError)
    assert error.after_s == 30
