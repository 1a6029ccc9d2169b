"""Replies of servers that do not accept the `response_format` or `json_schema` of a request."""

from tests.adapters.openai.refusals import openai
from tests.adapters.scripted_server import Reply

_NO_ENDPOINTS = (
    "No endpoints found that can handle the requested parameters. To learn more about provider routing, visit"
)
FORMAT_REFUSALS = {
    "OpenAI": Reply(
        openai(
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            param="response_format",
        ),
        400,
    ),
    "OpenAI's schemas": Reply(
        openai("Invalid schema for response_format 'classification': In context=(), schema must have a 'type' key."),
        400,
    ),
    "Azure": Reply(
        {"error": {"code": "BadRequest", "message": "response_format value as json_schema is enabled only for later"}},
        400,
    ),
    "DeepSeek": Reply(openai("This response_format type is unavailable now", "invalid_request_error"), 400),
    "DeepSeek, before": Reply(
        b"Failed to deserialize the JSON body into the target type: response_format: response_format.type `json_schema`"
        b" is unavailable now at line 1 column 1193",
        422,
    ),
    "Groq": Reply(openai("This model does not support response format `json_schema`. See supported models"), 400),
    "LM Studio": Reply({"error": "'response_format.type' must be 'json_schema' or 'text'"}, 400),
    "vLLM": Reply(
        {
            "object": "error",
            "message": "The provided JSON schema contains features not supported by xgrammar.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        400,
    ),
    "llama.cpp": Reply(openai('"json_schema": JSON schema conversion failed:\nUnrecognized schema: {}', 400), 400),
    "TGI": Reply({"error": "Input validation error: grammar is not supported", "error_type": "validation"}, 422),
    "FastAPI": Reply(
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs"}]}, 422
    ),
    "llama-cpp-python": Reply(
        {
            "detail": [
                {
                    "type": "literal_error",
                    "loc": ["body", "response_format", "type"],
                    "msg": "Input should be 'text' or 'json_object'",
                }
            ]
        },
        422,
    ),
    "SiliconFlow": Reply({"code": 20024, "message": "Json mode is not supported for this model.", "data": None}, 400),
    "a model that reasons": Reply(openai("the-reasoner does not support Json Output."), 400),
    "Novita": Reply({"code": 400, "message": "model: m does not support feature: structured-outputs"}, 400),
    "Gemini": Reply(
        [
            {
                "error": {
                    "code": 400,
                    "message": "Unknown name \"additionalProperties\" at 'generation_config.response_schema'",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        400,
    ),
    "OpenAI's word": Reply(
        openai("'messages' must contain the word 'json' in some form, to use 'response_format'.", param="messages"), 400
    ),
    "an error with 200": Reply({"error": {"message": "response_format is not supported", "code": 400}}, 200),
    "LiteLLM": Reply(
        openai("litellm.UnsupportedParamsError: x does not support parameters: ['response_format'], for model=m"), 400
    ),
    "OpenRouter": Reply({"error": {"message": _NO_ENDPOINTS, "code": 404}}, 404),
    "OpenRouter's provider": Reply(
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error": {"message": "Invalid schema for response_format"}}'},
            }
        },
        400,
    ),
    "not implemented": Reply({"error": {"message": "Structured outputs are not implemented.", "code": 501}}, 501),
}
