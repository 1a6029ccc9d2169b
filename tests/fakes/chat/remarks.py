"""The remarks of chat models around an answer: openings, closing remarks, refusals, and thoughts."""

import random

from tests.fakes.chat.words import fill, table

_CURLY = str.maketrans({"'": "\N{RIGHT SINGLE QUOTATION MARK}"})

TASK_PREAMBLES = table(
    """Sure! Here are {number} more tasks: | Certainly! Here is the continuation of the list: |
    Here are some new tasks: | Of course! Here's the rest of the list: | Here are the next tasks in the list: |
    Okay, here are more tasks: | Absolutely! Below are {number} additional tasks that differ from the ones above: |
    Sure thing! | Sure, here you go: | Great, let's continue the numbered list: |
    Below is a continuation of the list, with a wide range of subjects: |
    I'd be happy to help! Here are {number} diverse instructions: | Here's the completed list: | Continuing the list: |
    Certainly. I have continued the list with tasks that vary in topic, form and difficulty: | More tasks: |
    No problem! The following tasks complete the set: | Here is my attempt at continuing the list: | Alright:"""
)
ANSWER_PREAMBLES = table(
    """Sure! Here are some examples: | Certainly! Here is an example: | Here are a few examples for the task: |
    Of course! Here's what you asked for: | Here are the examples in the requested format: | Sure, here you go: |
    Absolutely! Below are {number} examples: | Okay, here are examples for this task: | Below are some examples: |
    Here is the completed example: | I'd be happy to help! Here are several examples: |
    Let's work through some examples: | Certainly. The following examples cover different cases: |
    Great question! Here are the examples: | Examples: | Following the same format, here are the examples: |
    Here you go: | Alright, here are the examples:"""
)
JSON_PREAMBLES = table(
    """Here is the JSON object: | Sure! Here's the JSON you asked for: | Here is the requested output: | Certainly! |
    Of course. The answer in JSON: | Here's a JSON response: | Below is the JSON object with the answer: | Okay: |
    Sure, here you go: | Output in JSON format: | Here it is: | The following JSON meets your requirements: | JSON: |
    Absolutely! Here is the result: | I have written the answer as a JSON object:"""
)
TASK_CLOSINGS = table(
    """Let me know if you'd like more tasks! | I hope these tasks are helpful. | Feel free to ask for more. |
    These tasks cover a wide range of subjects and formats. | Would you like me to continue the list? |
    Hope this helps! | Let me know if you need any changes or additional tasks. |
    These instructions vary in topic, form and difficulty. | If you want, I can write {number} more. |
    Please let me know if these meet your requirements. | I tried to make every task different from those above. |
    Note: all tasks can be done with text alone. | This completes the list of tasks. |
    I can provide more examples if needed. | That's the full list. | Is there anything else you would like me to add? |
    Each task differs from the others in subject and wording. | Happy to adjust the tone or the level of difficulty!"""
)
ANSWER_CLOSINGS = table(
    """Let me know if you'd like more examples! | I hope these examples are helpful. | Hope this helps! |
    Feel free to ask for more examples. | These examples cover different situations. |
    Let me know if you need anything else. | Would you like me to add more examples? |
    Please let me know if you need any changes. | I hope this helps! |
    If you want, I can write {number} more examples. | Is there anything else I can help you with? |
    Note: these examples are made up. | I can provide further examples if needed. |
    That covers the most common cases. | Each example differs from the others. | Happy to provide more!"""
)
REFUSALS = table(
    """I'm sorry, but I can't help with that. | I'm sorry, but I can't assist with that request. |
    I apologize, but I'm unable to continue this list. | As an AI language model, I can't create tasks of this kind. |
    As an AI language model, I don't have access to the material that the task mentions. | Sorry, I can't do that. |
    I cannot fulfil this request. | I can't comply with this request, as it may violate our content policy. |
    Unfortunately, I'm not able to help with this. | I'm unable to assist with that. |
    I am sorry, I cannot help with this. | I won't be able to complete this task. | I must decline this request. |
    Sorry, but I can't continue with this. | I'm an AI assistant and cannot provide that. |
    I'm not comfortable writing this. | I cannot generate that content. |
    I don't feel able to answer that, I'm afraid. | My apologies, but this goes beyond what I can do."""
)
THOUGHTS = table(
    """The user wants me to continue in the same form. | I should vary the subjects and the verbs. |
    We need to follow the format exactly. | Let me think about what is missing so far. |
    Okay, so there are several tasks. | First, look at what has been shown. | Maybe something about {topic}. |
    Then one on {thing}. | Avoid topics that were used already, such as {topic}. |
    It must not need anything but text. | Wait, {claim}? No. |
    Let me draft: 1. something on {topic} 2. something on {topic}. | The labels have to stay as they are. | Good. |
    I need to keep this short, about {n} words. | Let me double-check the numbering. | Now write the final answer."""
)


def remark(rng: random.Random, remarks: tuple[str, ...]) -> str:
    """Return one of the remarks, with a curly apostrophe in half of them."""
    text = fill(rng, rng.choice(remarks))
    return text.translate(_CURLY) if rng.random() < 1 / 2 else text


def thoughts(rng: random.Random, gap: str = " ") -> str:
    """Return some sentences of thinking."""
    return gap.join(fill(rng, thought) for thought in rng.sample(THOUGHTS, rng.randint(2, 5)))
