"""Answers with status 200: completions in all their shapes, and bodies that only look like one."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from service.adapters.openai.error_response import Refusal
from service.adapters.openai.response import Asked, Reading, read_completion
from service.adapters.openai.server_profiles import Api
from service.adapters.openai.token_usage import read_usage
from service.lm.errors import AttemptFailedError, CallFailedError, EndpointRefusedError, Failing, Refused
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.selfinstruct.model_input import CLASSIFICATION, ModelInput
from tests.adapters.scripted_server import Reply, chat, completion

USAGE = {"prompt_tokens": 5, "completion_tokens": 7}


def asked(api: Api) -> Asked:
    return Asked("http://host/v1", api, "asked", ("\n\n", "16."), ("sk-very-secret",))


def read(reply: Reply | object, api: Api = "completions") -> Completion:
    body = reply.body if isinstance(reply, Reply) else reply
    return reading_of(body if isinstance(body, bytes) else orjson.dumps(body), asked(api)).completion


def reading_of(body: bytes, asked: Asked) -> Reading:
    """Return the reading of a body. An error inside is raised, as the endpoint does."""
    outcome = read_completion(body, asked)
    if isinstance(outcome, Refusal):
        raise outcome.as_error()
    return outcome


def chat_with(usage: object, content: object, finish: object, **message: object) -> dict[str, Any]:
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return {"choices": [choice], "usage": usage}


def test_the_completion_names_the_model_that_served_it() -> None:
    assert read(completion()).model == "served"
    assert read({"choices": [{"text": "a", "finish_reason": "stop"}]}).model == "asked"


def test_the_model_name_of_an_answer_is_cleaned() -> None:
    reply = {"model": "a\nb sk-very-secret", "choices": [{"text": "a", "finish_reason": "stop"}]}
    assert read(reply).model == "a b ***"


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("stop", FinishReason.STOP),
        ("STOP", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("eos_token", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("end_turn", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("model_length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
    ],
)
def test_a_finish_reason_is_understood(reason: str, meaning: FinishReason) -> None:
    assert read(completion("text", reason)).finish_reason == meaning


@pytest.mark.parametrize(
    ("usage", "meaning"),
    [
        (None, None),
        ("7", None),
        ({}, None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": 5, "completion_tokens": None}, None),
        ({"prompt_tokens": -5, "completion_tokens": 7}, None),
        ({"prompt_tokens": 5, "completion_tokens": True}, None),
        ({"prompt_tokens": 5.0, "completion_tokens": 7}, None),
        (USAGE, Usage(5, 7)),
        ({**USAGE, "prompt_tokens_details": None, "completion_tokens_details": []}, Usage(5, 7)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": None}}, Usage(5, 7)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": -3}}, Usage(5, 7)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(5, 7, cached_tokens=5)),
        (
            {
                **USAGE,
                "total_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 2, "accepted_prediction_tokens": 0},
            },
            Usage(5, 7, cached_tokens=3, reasoning_tokens=2),
        ),
        # DeepSeek
        ({**USAGE, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 1}, Usage(5, 7, cached_tokens=4)),
        # Moonshot
        ({**USAGE, "cached_tokens": 4}, Usage(5, 7, cached_tokens=4)),
        # SGLang
        ({**USAGE, "total_tokens": 12, "reasoning_tokens": 6}, Usage(5, 7, reasoning_tokens=6)),
        # OpenRouter, with its price
        ({**USAGE, "total_tokens": 12, "cost": 0.95, "cost_details": {"upstream": 19}}, Usage(5, 7)),
        # xAI, whose completion tokens do not include reasoning, but whose total does
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 1,
                "total_tokens": 399,
                "completion_tokens_details": {"reasoning_tokens": 386},
            },
            Usage(12, 387, reasoning_tokens=386),
        ),
    ],
)
def test_usage_is_read_from_the_answer(usage: object, meaning: Usage | None) -> None:
    assert read_usage(usage) == meaning


@pytest.mark.parametrize(
    ("content", "text", "finish"),
    [
        ("<think>\nwell\n\n16.</think>\n\n9. a task", "9. a task", FinishReason.STOP),
        ("\n<think></think>9. a task", "9. a task", FinishReason.STOP),
        ("Okay, the user wants\n</think>\n\n9. a task", "9. a task", FinishReason.STOP),
        ("9. say <think> and </think>", "9. say <think> and </think>", FinishReason.STOP),
        ("9. a task\n\nmore", "9. a task", FinishReason.STOP),
        ("\n\n9. a task\n\nmore", "9. a task", FinishReason.STOP),
        ([{"type": "text", "text": "9. a"}, {"type": "text", "text": " task"}], "9. a task", FinishReason.STOP),
        ([{"type": "thinking", "thinking": []}, {"type": "text", "text": "9. a task"}], "9. a task", FinishReason.STOP),
        ("", "", FinishReason.STOP),
    ],
)
def test_the_text_is_the_answer_without_its_thinking(content: object, text: str, finish: FinishReason) -> None:
    answer = read(chat(content), "chat")
    assert (answer.text, answer.finish_reason) == (text, finish)


def test_thinking_is_no_part_of_a_plain_completion_either() -> None:
    assert read(completion("<think>well</think>9. a task")).text == "9. a task"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("finish", ["length", "stop"])
@pytest.mark.parametrize("content", [None, ""])
def test_an_answer_that_is_only_thinking_is_no_answer(name: str, finish: str, content: str | None) -> None:
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 7}}
    body = orjson.dumps(chat_with(usage, content, finish, **{name: "9. a task"}))
    reading = reading_of(body, asked("chat"))
    assert reading.only_thought
    assert reading.completion.text == ""
    assert reading.completion.usage == Usage(5, 7, reasoning_tokens=7)


def test_thinking_that_nobody_counted_is_not_guessed() -> None:
    answer = read(chat_with(USAGE, "<think>well</think>9. a task", "stop"), "chat")
    assert answer.usage == Usage(5, 7, reasoning_tokens=0)


@pytest.mark.parametrize(
    ("content", "finish", "message", "stopped"),
    [
        ("<think>well", "stop", {}, True),
        (None, "stop", {"reasoning": "well"}, True),
        ("<think>well", "length", {}, False),
        (None, "length", {"reasoning": "well"}, False),
        ("<think>well</think>9.", "stop", {}, False),
    ],
)
def test_thinking_cut_by_a_stop_string_differs_from_endless_one(
    content: object, finish: str, message: dict[str, str], *, stopped: bool
) -> None:
    body = orjson.dumps(chat_with(None, content, finish, **message))
    reading = reading_of(body, asked("chat"))
    assert reading.was_stopped is stopped
    assert reading.thought


@pytest.mark.parametrize(
    ("reply", "api", "finish"),
    [
        (completion(None, "length"), "completions", FinishReason.LENGTH),
        (chat(None, "length"), "chat", FinishReason.LENGTH),
        (chat(None, "content_filter"), "chat", FinishReason.CONTENT_FILTER),
    ],
)
def test_an_answer_emptied_by_a_limit_or_a_filter_is_kept(reply: Reply, api: Api, finish: FinishReason) -> None:
    answer = read(reply, api)
    assert (answer.text, answer.finish_reason) == ("", finish)


@pytest.mark.parametrize(
    ("reply", "api", "failing"),
    [
        (b"<html>gateway</html>", "chat", Failing.INVALID_BODY),
        (b'{"choices": [{"text": "cut', "chat", Failing.INVALID_BODY),
        (b"", "chat", Failing.INVALID_BODY),
        ([], "chat", Failing.INVALID_BODY),
        ({}, "chat", Failing.INVALID_BODY),
        ({"choices": []}, "chat", Failing.INVALID_BODY),
        ({"choices": None}, "chat", Failing.INVALID_BODY),
        ({"choices": ["text"]}, "chat", Failing.INVALID_BODY),
        (completion(None), "completions", Failing.INVALID_BODY),
        (completion(7), "completions", Failing.INVALID_BODY),
        (completion(["text"]), "completions", Failing.INVALID_BODY),
        (chat(), "completions", Failing.INVALID_BODY),
        (completion(), "chat", Failing.INVALID_BODY),
        (chat(None), "chat", Failing.INVALID_BODY),
        (chat(["parts"]), "chat", Failing.INVALID_BODY),
        (chat([]), "chat", Failing.INVALID_BODY),
        (completion("text", "abort"), "completions", Failing.ABORTED),
        (completion("text", "cancelled"), "completions", Failing.ABORTED),
        (completion("text", "error"), "completions", Failing.INVALID_BODY),
        (completion("text", "load"), "completions", Failing.INVALID_BODY),
        (completion("text", 7), "completions", Failing.INVALID_BODY),
        ({"error": "upstream"}, "chat", Failing.INVALID_BODY),
        ({"error": {"message": "upstream is overloaded", "code": 502}}, "chat", Failing.SERVER_ERROR),
        ({"error": {"message": "Provider returned error", "code": 429}}, "chat", Failing.RATE_LIMITED),
    ],
)
def test_a_200_without_a_completion_is_a_transient_failure(reply: object, api: Api, failing: Failing) -> None:
    with pytest.raises(AttemptFailedError, match=r"200|with an error|502|429") as failed:
        read(reply, api)
    assert failed.value.failing is failing


@pytest.mark.parametrize(
    ("reply", "api"),
    [
        (chat_with(USAGE, None, "tool_calls", tool_calls=[{"id": "1"}]), "chat"),
        (completion("text", "tool_calls", usage=USAGE), "completions"),
        (completion("text", "function_call", usage=USAGE), "completions"),
        (completion("", None, usage=USAGE), "completions"),
        (completion("  ", None, usage=USAGE), "completions"),
    ],
)
def test_an_answer_that_a_retry_would_repeat_fails_at_once(reply: object, api: Api) -> None:
    with pytest.raises(CallFailedError, match="The call is not made again") as failed:
        read(reply, api)
    assert (failed.value.failing, failed.value.wasted) == (Failing.NO_ANSWER, Usage(5, 7))


def test_a_text_without_a_finish_reason_is_whole() -> None:
    assert read(completion("text", None)) == Completion("text", FinishReason.STOP, "served", read(completion()).usage)
    assert read({"choices": [{"text": "text"}]}).finish_reason is FinishReason.STOP


def test_a_refusal_instead_of_a_text_is_the_text() -> None:
    answer = read(chat(None, "stop", refusal="I can't help with that."), "chat")
    assert (answer.text, answer.finish_reason) == ("I can't help with that.", FinishReason.STOP)


def test_half_a_character_becomes_a_replacement_mark() -> None:
    body = b'{"choices": [{"text": "a \\ud83d b", "finish_reason": "stop"}]}'
    assert read(body).text == "a \ufffd b"


def test_an_echo_of_the_prompt_is_removed_before_stops_apply() -> None:
    prompt = ModelInput("A header.\n\n1. one\n2.")
    reading = reading_of(
        orjson.dumps({"choices": [{"text": f"{prompt.text} two\n3. three\n\nmore", "finish_reason": "stop"}]}),
        replace(asked("completions"), prompt=prompt),
    )
    assert reading.completion.text == " two\n3. three"


@pytest.mark.parametrize(("beside", "text"), [('{"is_classification": true}', True), ("It is: true", False)])
def test_json_beside_an_empty_text_counts_if_it_fits_as_a_whole(beside: str, *, text: bool) -> None:
    prompt = ModelInput("Is it?", schema=CLASSIFICATION)
    body = orjson.dumps(chat_with(USAGE, "", "stop", reasoning_content=beside))
    reading = reading_of(body, replace(asked("chat"), prompt=prompt))
    assert (reading.completion.in_reasoning, reading.only_thought) == (text, not text)
    assert reading.completion.text == (beside if text else "")


@pytest.mark.parametrize(
    "reply",
    [
        completion("text", "abort", usage=USAGE),
        completion("text", "error", usage=USAGE),
        completion(None, usage=USAGE),
        {"error": {"message": "upstream", "code": 502}, "usage": USAGE},
        {"choices": [], "usage": USAGE},
    ],
)
def test_the_usage_of_an_unusable_answer_is_counted(reply: object) -> None:
    with pytest.raises(AttemptFailedError) as failed:
        read(reply)
    assert failed.value.usage == Usage(5, 7)


def test_an_error_in_a_200_may_be_permanent() -> None:
    with pytest.raises(EndpointRefusedError) as refused:
        read({"error": {"message": "Insufficient credits", "code": 402}})
    assert refused.value.refused is Refused.QUOTA
    with pytest.raises(CallFailedError) as failed:
        read({"error": {"message": "maximum context length is 4096 tokens", "code": 400}, "usage": USAGE})
    assert (failed.value.failing, failed.value.wasted) == (Failing.CONTEXT_LENGTH, Usage(5, 7))


def test_the_error_for_an_html_page_mentions_the_base_url() -> None:
    with pytest.raises(AttemptFailedError, match="whether the base URL ends with /v1"):
        read(b"\n<!doctype html><html>")


@pytest.mark.parametrize(
    "reply", [{"error": "bad sk-very-secret"}, completion(finish="bad sk-very-secret"), {"error": ["sk-very-secret"]}]
)
def test_a_key_that_a_server_echoes_is_not_repeated(reply: object) -> None:
    with pytest.raises(AttemptFailedError, match=r"\*\*\*") as failed:
        read(reply)
    assert "sk-very-secret" not in str(failed.value)
