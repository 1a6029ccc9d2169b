"""Text that leaks into a reply from around the model: thinking, channels, special tokens, the prompt itself."""

import re

# Opening and closing tags of thinking, for the models and servers that do not remove it themselves.
_THINKING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
)
# OpenAI's harmony format, with and without its special tokens.
_CHANNEL = "<|channel|>"
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*+final[^<\n]{0,40}+<\|message\|>")
_FINAL_WITHOUT_TOKENS = "assistantfinal"
_ANALYSIS_WITHOUT_TOKENS = re.compile(r"\s*+analysis(?=[A-Z])")

_SPECIAL = (
    r"(?:<\|[A-Za-z0-9_/ -]{1,40}\|>|<\uff5c[^\uff5c>\n]{1,40}\uff5c>"
    r"|<(?:start_of_turn|end_of_turn|eos|bos|eot)>|\[/?INST\])"
)
_LEADING_TOKENS = re.compile(rf"\s*+(?:(?:<s>|{_SPECIAL})\s*+(?:(?:assistant|model)\b(?!['\u2019])\s*+)?+)++")
_ANY_SPECIAL_TOKEN = re.compile(_SPECIAL)
_STRIKE, _END_OF_SEQUENCE = "<s>", "</s>"

_ECHO_TAIL = 80


def without_thinking(text: str) -> str | None:
    """Return the answer without the thinking before it; None if the thinking never ended.

    The opening tag is missing if the chat template writes it; the closing tag then stands alone.
    """
    answer = _without_channels(text)
    for opening, closing in _THINKING:
        if answer is None:
            return None
        before, closed, after = answer.partition(closing)
        if before.lstrip().startswith(opening):
            answer = after.lstrip() if closed else None
        elif closed and opening not in before:
            answer = after.lstrip()
    return answer


def _without_channels(text: str) -> str | None:
    *_, final = _FINAL_CHANNEL.split(text)
    if final is not text and final != text:
        return final
    if _CHANNEL in text:
        before = without_special_tokens(text.partition(_CHANNEL)[0])
        return before if before.strip() not in {"", "assistant"} else None
    _, found, final = text.rpartition(_FINAL_WITHOUT_TOKENS)
    if found:
        return final
    return None if _ANALYSIS_WITHOUT_TOKENS.match(text) else text


def without_special_tokens(text: str) -> str:
    """Return the text between the special tokens at its beginning and the next special token."""
    leading = _LEADING_TOKENS.match(text)
    text = text[leading.end() :] if leading else text
    ends = [found.start()] if (found := _ANY_SPECIAL_TOKEN.search(text)) else []
    end_of_sequence = text.find(_END_OF_SEQUENCE)
    if end_of_sequence >= 0 and _STRIKE not in text[:end_of_sequence]:
        ends.append(end_of_sequence)
    return text[: min(ends)] if ends else text


def without_echo(text: str, prompt: str) -> str:
    """Return a completion without the prompt before it, which some servers send back with every answer.

    A chat template may put other text between the messages, so the end of the prompt is searched for.
    """
    shown, asked = text.lstrip(), prompt.strip()
    if shown.startswith(asked):
        return shown[len(asked) :]
    tail = asked[-_ECHO_TAIL:]
    place = text.find(tail, 0, 2 * len(prompt) + len(tail)) if len(asked) > _ECHO_TAIL else -1
    return text[place + len(tail) :] if place >= 0 else text


def clean_reply(text: str) -> str:
    """Return a reply without thinking and special tokens; empty if the thinking never ended."""
    answer = without_thinking(text)
    return "" if answer is None else without_special_tokens(answer)
