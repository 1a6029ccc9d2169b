"""Wrappings of a whole reply, for every step: thinking before it, end-of-turn tokens after it, a fence around it."""

import random
from collections.abc import Callable

from tests.fakes.chat.remarks import thoughts

Wrapping = Callable[[random.Random, str], str]

_END_TOKENS = ("<|eot_id|>", "<|im_end|>", "</s>", "<|endoftext|>", "<end_of_turn>")
_NEXT_TURNS = {
    "<|eot_id|>": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|im_end|>": "\n<|im_start|>user\n",
    "</s>": " [INST] ",
    "<|endoftext|>": "\n\nHuman: ",
    "<end_of_turn>": "\n<start_of_turn>user\n",
}
# Text after the end of a turn does not belong to an answer.
_BABBLE = (
    "Thank you, please go on.",
    "Can you explain the last one?",
    "Great work. What about cooking?",
    "Next, please.",
)


def in_tags(opening: str, closing: str) -> Wrapping:
    """Return the wrapping that puts thinking between two tags before the reply."""

    def think(rng: random.Random, text: str) -> str:
        inside, behind = rng.choice(("", "\n")), rng.choice(("", "\n", "\n\n"))
        thinking = thoughts(rng, rng.choice((" ", "\n\n")))
        return f"{opening}{inside}{thinking}{inside}{closing}{behind}{text}"

    return think


def after_thinking_without_opening(rng: random.Random, text: str) -> str:
    """Return a reply after thinking that has only the closing tag, as with some chat templates."""
    thinking = thoughts(rng, rng.choice((" ", "\n")))
    return f"{thinking}\n</think>\n\n{text}"


def in_channels(rng: random.Random, text: str) -> str:
    """Return a reply in the final channel of the harmony format, after an analysis channel."""
    return (
        f"<|channel|>analysis<|message|>{thoughts(rng)}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{text}{rng.choice(('', '<|return|>'))}"
    )


def in_worn_channels(rng: random.Random, text: str) -> str:
    """Return the same without its special tokens, as from a server that drops them."""
    return f"analysis{thoughts(rng)}assistantfinal{text}"


def after_thought_channel(rng: random.Random, text: str) -> str:
    """Return a reply after a channel of thoughts with Gemma's name for it."""
    return f"<|channel>thought\n{thoughts(rng)}<channel|>{text}"


def ended(rng: random.Random, text: str) -> str:
    """Return a reply with an end-of-turn token, and in half of the cases with babble after it."""
    token = rng.choice(_END_TOKENS)
    if rng.random() < 1 / 2:
        return f"{text}{token}" if rng.random() < 1 / 2 else f"{text}\n{token}"
    return f"{text}{token}{_NEXT_TURNS[token]}{rng.choice(_BABBLE)}"


def fenced(rng: random.Random, text: str) -> str:
    """Return a reply in a code fence that is longer than the fences within."""
    fence = "````" if "```" in text else "```"
    return f"{fence}{rng.choice(('', '', 'text', 'markdown', 'plaintext'))}\n{text.strip()}\n{fence}"


def with_windows_line_ends(_: random.Random, text: str) -> str:
    return text.replace("\n", "\r\n")


THINKING: dict[str, Wrapping] = {
    "think": in_tags("<think>", "</think>"),
    "thinking": in_tags("<thinking>", "</thinking>"),
    "thought": in_tags("<thought>", "</thought>"),
    "bracketed-think": in_tags("[THINK]", "[/THINK]"),
    "closing-think-alone": after_thinking_without_opening,
    "channels": in_channels,
    "worn-channels": in_worn_channels,
    "thought-channel": after_thought_channel,
}
