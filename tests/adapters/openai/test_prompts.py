"""Prompts that a server never answers, because they are too long or filtered, on the messages of real servers."""

import pytest

from service.lm.errors import CallFailedError, Failing
from tests.adapters.openai.refusals import error_of, openai

OVERFLOWS: list[tuple[int, object]] = [
    # vLLM, old and new
    (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
            "(976 in the messages, 4024 in the completion). Please reduce the length of the messages or completion.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    (
        400,
        openai("You passed 5000 input tokens and requested 100. However, the model's context length is only 4096", 400),
    ),
    (
        400,
        openai(
            "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 "
            "tokens and your request has 30 input tokens",
            400,
        ),
    ),
    (400, openai("max_tokens must be at least 1, got -186.", 400)),
    (400, openai("The decoder prompt (length 2136) is longer than the maximum model length of 2048.", 400)),
    (500, {"detail": "The decoder prompt (length 66501) is longer than the maximum model length of 65536."}),
    # SGLang
    (
        400,
        {
            "object": "error",
            "message": "Requested token count exceeds the model's maximum context length of 4096 tokens.",
            "code": 400,
        },
    ),
    (400, openai("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 400)),
    (400, openai("Input length (5000 tokens) exceeds the maximum allowed length (4091 tokens).", 400)),
    # llama.cpp
    (
        400,
        openai(
            "the request exceeds the available context size (512 tokens), try increasing it",
            400,
            "exceed_context_size_error",
            n_prompt_tokens=900,
            n_ctx=512,
        ),
    ),
    (500, openai("Context size has been exceeded.", 500, "server_error")),
    # Ollama
    (400, openai("the input length exceeds the context length", None, "api_error")),
    (400, {"error": "the input length exceeds the context length"}),
    # TGI
    (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` "
            "tokens and 100 `max_new_tokens`",
            "error_type": "validation",
        },
    ),
    (422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"}),
    # OpenAI, Azure
    (400, openai("Please reduce the length of the messages.", "context_length_exceeded")),
    # OpenRouter
    (400, {"error": {"message": "This endpoint's maximum context length is 8192 tokens.", "code": 400}}),
    (
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error": "Input is too long for requested model."}', "provider_name": "X"},
            }
        },
    ),
    # LiteLLM
    (
        400,
        openai("litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - too long", "400", None),
    ),
    # other servers behind gateways: Anthropic, Gemini, xAI
    (400, openai("prompt is too long: 210000 tokens > 200000 maximum")),
    (400, openai("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000")),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                }
            }
        ],
    ),
    (413, {"error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}),
]


@pytest.mark.parametrize(("status", "body"), OVERFLOWS)
def test_a_prompt_that_exceeds_the_context_is_recognised(status: int, body: object) -> None:
    error = error_of(status, body)
    assert isinstance(error, CallFailedError)
    assert error.failing is Failing.CONTEXT_LENGTH
    assert "longer context" in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, openai("max_tokens must be at least 1, got 0.", 400)),
        (400, openai("Invalid 'user': string too long. Expected a string with maximum length 64.")),
        (400, openai("prompt is required")),
        (400, openai("[] is too short - 'messages'")),
        (500, openai("context deadline exceeded", 500, "server_error")),
        (500, openai("rpc error: context canceled", 500, "api_error")),
        (422, {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}),
        (429, openai("Rate limit reached in the context of this organization: limit 10000, length 3")),
        (400, openai("The length of the list is too large. context_window_fallbacks=None. fallbacks=None", "400")),
        (503, openai("context length service unavailable")),
    ],
)
def test_similar_errors_are_not_taken_for_a_long_prompt(status: int, body: object) -> None:
    assert getattr(error_of(status, body), "failing", None) is not Failing.CONTEXT_LENGTH


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # Azure
        (
            400,
            openai(
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
                "Please modify your prompt and retry.",
                "content_filter",
                None,
                status=400,
                innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
            ),
        ),
        (400, openai("Filtered.", None, None, innererror={"code": "ResponsibleAIPolicyViolation"})),
        (400, openai("Your request was rejected as a result of our safety system.", "content_policy_violation")),
        # OpenRouter
        (
            403,
            {
                "error": {
                    "code": 403,
                    "message": "x requires moderation on Y. Your input was flagged. No credits were charged.",
                    "metadata": {"reasons": ["violence"], "flagged_input": "…"},
                }
            },
        ),
        # LiteLLM
        (400, openai("litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - filtered", "400")),
        # DeepSeek, Qwen
        (400, openai("Content Exists Risk")),
        (400, openai("Output data may contain inappropriate content.", "data_inspection_failed")),
    ],
)
def test_a_filtered_prompt_fails_for_good_and_stops_nothing(status: int, body: object) -> None:
    error = error_of(status, body)
    assert isinstance(error, CallFailedError)
    assert error.failing is Failing.CONTENT_FILTER
