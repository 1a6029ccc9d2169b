"""Models that think before they answer: their room for thinking, and thinking that is never taken for an answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from service.lm.errors import AttemptFailedError, CallFailedError, Failing
from service.lm.port import FinishReason
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from tests.adapters.openai.answering_server import JSON_FORM, TEXT_FORM, VERDICT, Body, conversation
from tests.adapters.scripted_server import Reply, chat, completion

pytestmark = pytest.mark.anyio

ANSWER = 100  # the tokens that the sampling of these tests allows for an answer
COUNTED = {"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 6}}
TASK_IN_THOUGHTS = "Okay.\n\n16. a thought"


def counting(usage: Mapping[str, object], reply: Reply) -> Reply:
    """Add the token counts of a server to its answer."""
    assert isinstance(reply.body, dict)
    return Reply({**reply.body, "usage": usage})


@dataclass
class Thinker:
    """A model that thinks for this number of tokens before it writes a verdict, and writes none if they do not fit."""

    tokens: int

    def __call__(self, body: Body) -> Reply:
        room = body["max_tokens"]
        if room <= self.tokens:
            usage = {"prompt_tokens": 5, "completion_tokens": room}
            return counting(usage, chat(None, "length", reasoning="Okay, first"))
        return chat(VERDICT, reasoning="Okay, done")


@pytest.mark.parametrize("prompt", [TEXT_FORM, JSON_FORM], ids=["text", "json"])
@pytest.mark.parametrize(
    ("reply", "api"),
    [
        (chat(VERDICT, reasoning="Okay."), "chat"),
        (chat(VERDICT, reasoning_content="Okay."), "chat"),
        (chat(f"<think>Okay.</think>{VERDICT}"), "chat"),
        (chat(f"Okay.\n</think>\n\n{VERDICT}"), "chat"),
        (counting(COUNTED, chat(VERDICT)), "chat"),
        (completion(f"<think>Okay.</think>{VERDICT}"), "completions"),
        (counting(COUNTED, completion(VERDICT)), "completions"),
    ],
)
async def test_the_first_answer_that_shows_thinking_makes_room(reply: Reply, api: str, prompt: ModelInput) -> None:
    with capture_logs() as logs:
        async with conversation(lambda _: reply, api=api) as talk:
            assert [(await talk.ask(prompt)).text for _ in range(3)] == [VERDICT] * 3
    assert talk.sent("max_tokens") == [ANSWER, ANSWER + 4096, ANSWER + 4096]
    assert [(each["event"], each["thinking_tokens"]) for each in logs] == [("lm.adapted", 4096)]


@pytest.mark.parametrize(
    "reply",
    [
        chat(VERDICT),
        chat(VERDICT, reasoning="", reasoning_content=None),
        chat("The tags <think> and </think> enclose thinking."),
        counting({**COUNTED, "completion_tokens_details": {"reasoning_tokens": 0}}, chat(VERDICT)),
    ],
)
async def test_a_model_that_shows_no_thinking_gets_no_room(reply: Reply) -> None:
    async with conversation(lambda _: reply) as talk:
        await talk.ask()
        await talk.ask()
    assert talk.sent("max_tokens") == [ANSWER] * 2


async def test_room_that_does_not_suffice_is_made_larger_once() -> None:
    async with conversation(Thinker(5000)) as talk:
        for room in (0, 4096):
            with pytest.raises(AttemptFailedError, match=rf"ran out .* \({room} tokens were there") as failed:
                await talk.ask()
            assert (failed.value.failing, failed.value.usage) == (Failing.THINKING, Usage(5, ANSWER + room))
        assert [(await talk.ask()).text for _ in range(2)] == [VERDICT] * 2
    assert talk.sent("max_tokens") == [ANSWER, ANSWER + 4096, ANSWER + 16384, ANSWER + 16384]


async def test_thinking_without_end_fails_and_names_the_setting() -> None:
    async with conversation(Thinker(50_000)) as talk:
        for _ in range(2):
            with pytest.raises(AttemptFailedError):
                await talk.ask()
        for _ in range(2):
            with pytest.raises(CallFailedError, match=r"its tokens ran out .* lm_thinking_tokens") as failed:
                await talk.ask()
            assert (failed.value.failing, failed.value.wasted) == (Failing.THINKING, Usage(5, ANSWER + 16384))
    assert talk.sent("max_tokens")[2:] == [ANSWER + 16384] * 2


@pytest.mark.parametrize("tokens", [0, 2000])
async def test_a_number_set_by_the_user_is_neither_learnt_nor_grown(tokens: int) -> None:
    async with conversation(Thinker(50), thinking_tokens=tokens) as talk:
        assert [(await talk.ask()).text for _ in range(2)] == [VERDICT] * 2
    assert talk.sent("max_tokens") == [ANSWER + tokens] * 2
    async with conversation(Thinker(50_000), thinking_tokens=tokens) as talk:
        for _ in range(2):
            with pytest.raises(CallFailedError, match="more room with lm_thinking_tokens"):
                await talk.ask()
    assert talk.sent("max_tokens") == [ANSWER + tokens] * 2


@pytest.mark.parametrize("prompt", [TEXT_FORM, JSON_FORM], ids=["text", "json"])
@pytest.mark.parametrize("content", [None, "", []])
async def test_thinking_without_content_is_no_answer(content: object, prompt: ModelInput) -> None:
    async with conversation(lambda _: chat(content, "length", reasoning="Okay. Yes.")) as talk:
        with pytest.raises(AttemptFailedError, match="thinking alone") as failed:
            await talk.ask(prompt)
    assert failed.value.failing is Failing.THINKING


@pytest.mark.parametrize("content", [None, ""])
async def test_an_answer_emptied_by_a_filter_is_not_asked_for_again(content: str | None) -> None:
    async with conversation(lambda _: chat(content, "content_filter", reasoning="Okay.")) as talk:
        answer = await talk.ask()
    assert (answer.text, answer.finish_reason) == ("", FinishReason.CONTENT_FILTER)


@pytest.mark.parametrize(
    ("reply", "api"),
    [
        (chat("9. a task\n\n10. more", reasoning=TASK_IN_THOUGHTS), "chat"),
        (chat(f"<think>{TASK_IN_THOUGHTS}</think>\n\n9. a task\n\n10. more"), "chat"),
        (chat(f"\n\n<think>{TASK_IN_THOUGHTS}</think>9. a task16. more"), "chat"),
        (chat(f"{TASK_IN_THOUGHTS}</think>\r\n\r\n9. a task\n\n10. more"), "chat"),
        (completion(f"<think>{TASK_IN_THOUGHTS}</think>\n\n9. a task\n\n10. more"), "completions"),
    ],
)
async def test_stop_strings_end_an_answer_and_never_its_thinking(reply: Reply, api: str) -> None:
    async with conversation(lambda _: reply, api=api) as talk:
        answer = await talk.ask(TEXT_FORM)
    assert (answer.text, answer.finish_reason) == ("9. a task", FinishReason.STOP)


@pytest.mark.parametrize("blank", ["\n\n", "\r\n\r\n", "\n\n\n\n"])
@pytest.mark.parametrize(("rest", "text"), [("9. a task\n\n10. more", "9. a task"), (" 9. a task", " 9. a task")])
async def test_blank_lines_before_an_answer_do_not_end_it(blank: str, rest: str, text: str) -> None:
    async with conversation(lambda _: completion(blank + rest), api="completions") as talk:
        assert (await talk.ask(TEXT_FORM)).text == text


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("content", [None, ""])
async def test_json_in_the_field_for_thinking_is_the_answer(name: str, content: str | None) -> None:
    async with conversation(lambda _: chat(content, **{name: f" {VERDICT}\n"})) as talk:
        answer = await talk.ask()
    assert (answer.text.strip(), answer.in_reasoning) == (VERDICT, True)


@pytest.mark.parametrize(
    ("prompt", "beside"),
    [
        (TEXT_FORM, VERDICT),
        (JSON_FORM, f"It is {VERDICT}"),
        (JSON_FORM, '{"is_classification": "true"}'),
        (JSON_FORM, '{"is_classification": true, "why": "so"}'),
        (JSON_FORM, '{"instructions": []}'),
    ],
)
async def test_only_json_of_the_schema_is_taken_from_thinking(prompt: ModelInput, beside: str) -> None:
    async with conversation(lambda _: chat("", reasoning=beside)) as talk:
        with pytest.raises(AttemptFailedError, match="thinking alone"):
            await talk.ask(prompt)


async def test_an_answer_takes_precedence_over_json_in_thinking() -> None:
    other = '{"is_classification": false}'
    async with conversation(lambda _: chat(VERDICT, reasoning=other)) as talk:
        answer = await talk.ask()
    assert (answer.text, answer.in_reasoning) == (VERDICT, False)


@pytest.mark.parametrize("content", [None, "", "\n\n"])
async def test_thinking_that_is_hidden_gets_room_too(content: str | None) -> None:
    def answer(body: Body) -> Reply:
        if body["max_tokens"] > 4096 + ANSWER:
            return chat(VERDICT)
        return counting({**COUNTED, "completion_tokens": body["max_tokens"]}, chat(content, "length"))

    async with conversation(answer) as talk:
        for _ in range(2):
            with pytest.raises(AttemptFailedError, match="thinking alone"):
                await talk.ask()
        assert (await talk.ask()).text == VERDICT
    assert talk.sent("max_tokens") == [ANSWER, ANSWER + 4096, ANSWER + 16_384]


async def test_the_error_names_the_requested_room() -> None:
    reply = counting(COUNTED, chat("", "length"))
    async with conversation(lambda _: reply, thinking_tokens=2_000) as talk:
        with pytest.raises(CallFailedError, match=r"\(2000 tokens were there for thinking\).*lm_thinking_tokens"):
            await talk.ask()
