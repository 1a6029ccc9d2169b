"""Replies of chat models that were once parsed wrongly, one or two of each kind, with their correct reading."""

import json
from random import Random

import pytest

from service.selfinstruct.classification import is_classification
from service.selfinstruct.filters import refusal
from service.selfinstruct.instances import parse_instances, select_instances
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import Form, Recipe, RecipeName, recipe_for
from service.selfinstruct.tasks import Instance

TEXT = recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True)
JSON = recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True)
ALPACA_TEXT = recipe_for(RecipeName.ALPACA, chat_model=True)
ALPACA_JSON = recipe_for(RecipeName.ALPACA, Form.JSON, chat_model=True)

Pairs = list[tuple[str, str]]


def accepted(recipe: Recipe, reply: str) -> list[str]:
    """Return the instructions that neither the parser nor a filter rejects."""
    candidates = parse_instructions(recipe, reply, truncated=False)
    return [each.instruction for each in candidates if refusal(recipe.filters, each) is None]


def blocks(reply: str, recipe: Recipe = ALPACA_TEXT) -> list[tuple[str, str, str]]:
    """Return instruction, input and output of the accepted candidates."""
    candidates = parse_instructions(recipe, reply, truncated=False)
    kept = [each for each in candidates if refusal(recipe.filters, each) is None]
    return [(each.instruction, each.instance.input, each.instance.output) for each in kept if each.instance]


def pairs(reply: str, *, of_labels: bool = False, recipe: Recipe = TEXT) -> Pairs:
    """Return the instances that a task keeps."""
    instances = parse_instances(recipe, reply, is_classification=of_labels, truncated=False)
    kept = select_instances(instances, 5, Random(0), chat_model=True, is_classification=of_labels)
    return [(each.input, each.output) for each in kept if isinstance(each, Instance)] if isinstance(kept, tuple) else []


@pytest.mark.parametrize(
    ("reply", "tasks"),
    [
        pytest.param(
            " Name four sorts of cheese.\n10. Put this sentence into Dutch:\nThe ferry leaves at six.",
            ["Name four sorts of cheese.", "Put this sentence into dutch:"],
            id="material below a task",
        ),
        pytest.param(
            "### 9. Telling the Time Without Clocks\nExplain how sailors told the time at sea.\n\n"
            "### 10. Bread\nList the steps of baking a rye loaf.",
            ["Explain how sailors told the time at sea.", "List the steps of baking a rye loaf."],
            id="headings as titles",
        ),
        pytest.param(
            "9. **True or false:** Whales are fish, and sharks are not.\n"
            "10. **Word play**\n    - Write three puns on herbs.",
            ["True or false: whales are fish, and sharks are not.", "Write three puns on herbs."],
            id="bold words that are the task, and a title",
        ),
        pytest.param(
            "9. Compare two ways of drying herbs for the winter months\n**Maths**\n"
            "10. Add the fractions and simplify the sum.",
            ["Compare two ways of drying herbs for the winter months", "Add the fractions and simplify the sum."],
            id="a section between items",
        ),
        pytest.param(
            "9. Turn the notes of the meeting into a list of duties for all\nEach duty has an owner and a day",
            [],
            id="a line that may go on",
        ),
        pytest.param(
            " Describe the tides to a small child 10. Name five rivers 11. Tell a joke about cats", [], id="one line"
        ),
        pytest.param(
            "9. Something about soup, perhaps.\n10. A riddle on numbers.\n\nMy list:\n\n"
            "9. Write a recipe for pea soup.\n10. Pose a riddle about primes.",
            ["Write a recipe for pea soup.", "Pose a riddle about primes."],
            id="a draft before the list",
        ),
        pytest.param(
            "9. Explain what `__repr__` is for in Python.\n10. Say what **kwargs collects.",
            ["Explain what `__repr__` is for in python.", "Say what **kwargs collects."],
            id="names of Python",
        ),
        pytest.param(
            "9. I don't have access to a gym. Suggest three exercises.\n"
            "10. Let me know the differences between bees and wasps.",
            [
                "I don't have access to a gym. suggest three exercises.",
                "Let me know the differences between bees and wasps.",
            ],
            id="a person's wants",
        ),
        pytest.param(
            "9. As an AI, I cannot write further tasks.\n10. Complete the proverb: A stitch in time ____.",
            ["Complete the proverb: a stitch in time ____."],
            id="a refusal beside a gap",
        ),
    ],
)
def test_a_list_is_read_as_it_was_meant(reply: str, tasks: list[str]) -> None:
    assert accepted(TEXT, reply) == tasks


TITLES = (
    "### Task {n}: Rivers", "**{n}. Rivers**", "{n}.", "({n})", "[Task {n}]", "Prompt {n}:", "--- {n} ---", "---",
    "## Geography", "**Category: Rivers**", "#", "\\###", "Type: naming",
)  # fmt: skip


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("label", ["**{}:**", "{}:", "- **{}:**", "    {}:"])
def test_the_title_of_the_next_task_is_no_part_of_an_output(title: str, label: str) -> None:
    meant = [("Name a river of Peru.", "", "The Ucayali"), ("Sort the words by length.", "pear, fig", "fig\npear")]
    words = [label.format(name) for name in ("Instruction", "Input", "Output")]
    written = [
        "\n".join((title.format(n=number), *(f"{word} {text}" for word, text in zip(words, task, strict=True))))
        for number, task in enumerate(meant, 4)
    ]
    assert blocks("\n\n".join(written)) == meant


@pytest.mark.parametrize(
    ("output", "read"),
    [
        ("**Lima** lies on the coast, **Cusco** does not.", "**Lima** lies on the coast, **Cusco** does not."),
        ("* flour\n* salt", "* flour\n* salt"),
        ("```\nThe Ucayali\n```", "The Ucayali"),
        ("```python\nprint(2 + 3)\n# Output: 5\n```", "```python\nprint(2 + 3)\n# Output: 5\n```"),
        ("Steps:\n\n1. Mix\n\n2. Bake", "Steps:\n\n1. Mix\n\n2. Bake"),
        ("Dear Ms Orr,\n\nit ships today.\n\nPlease let me know if you have any questions.",) * 2,
        ("Dear Ms Orr,\n\nit ships today.\n\nKind regards", "Dear Ms Orr,\n\nit ships today.\n\nKind regards"),
        ("Here is a couplet:\n\nThe lamp burns low,\nthe ferries go.", "The lamp burns low,\nthe ferries go."),
        ("1914: war\n2001: a film", "1914: war\n2001: a film"),
    ],
)
@pytest.mark.parametrize("number", ["4. ", ""], ids=["numbered", "plain"])
def test_an_output_is_read_exactly(output: str, read: str, number: str) -> None:
    task = f"{number}Instruction: Do as the note says.\n{number}Input: a note\n{number}Output: {output}"
    after = task.replace("4. ", "5. ").replace("a note", "another note")
    assert blocks(f"{task}\n###\n{after}") == [
        ("Do as the note says.", "a note", read), ("Do as the note says.", "another note", read)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "word",
    ["`<noinput>`", "\\<noinput\\>", "&lt;noinput&gt;", '"<noinput>"', "*No input*", "N/A (no input needed)",
     "Not needed", "This task requires no input.", "None (it stands on its own)", "—", "...", "```\n<noinput>\n```"],
)  # fmt: skip
def test_all_phrases_for_no_input_give_an_empty_input(word: str) -> None:
    reply = f"4. Instruction: Name a river of Peru.\n4. Input: {word}\n4. Output: The Ucayali"
    assert blocks(reply) == [("Name a river of Peru.", "", "The Ucayali")]


def test_a_task_without_labels_spoils_the_task_above() -> None:
    reply = "4. Instruction: Name an ocean.\n4. Input: <noinput>\n4. Output: Arctic\n\n5. Name a sea.\n<noinput>\nAral"
    assert blocks(reply) == []


@pytest.mark.parametrize(
    "heading",
    ["Example 2: A short one", "**Example 2: short**", "[Example 2]", "Ex. 2", "**Test case 2**", "**2.**", "(2)",
     "Case 2:", "Another example:", "- Example 2"],
)  # fmt: skip
def test_headings_of_examples_are_dropped(heading: str) -> None:
    reply = f"Input: cat\nOutput: cats\n\n{heading}\nInput: mouse\nOutput: mice"
    assert pairs(reply) == [("cat", "cats"), ("mouse", "mice")]


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("```python\nprint(2 + 3)\n# Output: 5\n```", [("", "```python\nprint(2 + 3)\n# Output: 5\n```")]),
        ("A simile compares.\n\nExample 1:\nAs old as the hills.\n\nExample 2:\nLike a lamb.",
         [("", "A simile compares.\n\nExample 1:\nAs old as the hills.\n\nExample 2:\nLike a lamb.")]),
        ("No input is needed for this task.\nOutput: The ulna.", [("", "The ulna.")]),
        ("The task needs no input.\n\nThe ulna.", [("", "The ulna.")]),
        ("Here are some examples for the task.\nOutput: The ulna.", [("", "The ulna.")]),
        ("Sure, I shall be at the station by nine.", [("", "Sure, I shall be at the station by nine.")]),
        ("Output: The ulna.\nLet me know if you want more examples!", [("", "The ulna.")]),
        ("Example 1\nThe lamp burns. -> A lamp burns.\n\nExample 2\nIt rains. -> Rain falls.", []),
        ("<example>\n<input>cat</input>\n<output>cats</output>\n</example>", []),
    ],
)  # fmt: skip
def test_instances_are_read_as_meant(reply: str, read: Pairs) -> None:
    assert pairs(reply) == read


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("Input: It leaks.\nClass label: complaint\n\nInput: It shines.\nClass label: praise", "both"),
        ("Case 1\nInput: It leaks.\nClass label: complaint\nCase 2\nInput: It shines.\nClass label: praise", "both"),
        ("Input: It leaks.\nOutput: complaint\n\nInput: It shines.\nOutput: praise", "both"),
        ("Class label:\ncomplaint\nIt leaks.\n\nClass label:\npraise\nIt shines.", "both"),
        ('Class label: "complaint"\nIt leaks.\nExplanation: water\n\nClass label: praise.\nIt shines.', "both"),
        ("**1. A**\nClass label: complaint\nIt leaks.\n\n**2. B**\nClass label: praise\nIt shines.", "both"),
        ("Class label: complaint\nClass label: praise", "none"),
        ("Class label: complaint, Note: It leaks.\nClass label: praise, Note: It shines.", "none"),
        ("Class label: complaint\n[insert a complaint]\nClass label: praise\n[insert praise]", "none"),
    ],
)  # fmt: skip
def test_labels_stay_with_their_inputs(reply: str, read: str) -> None:
    both = [("It leaks.", "complaint"), ("It shines.", "praise")]
    assert pairs(reply, of_labels=True) == (both if read == "both" else [])


@pytest.mark.parametrize(
    ("reply", "of_labels", "read"),
    [
        ('{"instances": [{"text": "It leaks.", "output": "complaint"}, {"text": "It shines.", "output": "praise"}]}',
         True, [("It leaks.", "complaint"), ("It shines.", "praise")]),
        ('{"instances": [{"context": "It rained.", "question": "Was it dry?", "output": "No"}]}', False, []),
        ('```json\n{"question": "2 + 2?", "answer": "4"}\n```', False, []),
        ('Example 1\nInput: It rained.\nOutput: {"text": "It rained.", "label": "past"}', False,
         [("It rained.", '{"text": "It rained.", "label": "past"}')]),
        ('{"instances": [{"input": "Input: 2", "output": "**Output:** 4"}]}', False, [("2", "4")]),
        (r'{"instances": [{"input": "", "output": "$\frac{1}{2}$, $\theta \neq \beta$ and \(x\)"}]}', False,
         [("", r"$\frac{1}{2}$, $\theta \neq \beta$ and \(x\)")]),
        (r'{"instances": [{"input": "", "output": "one\ttwo\nthree \\ four"}]}', False,
         [("", "one\ttwo\nthree \\ four")]),
        ('{"instances": [{"input": "x", "output": ' + "1" * 5_000 + "}]}", False, [("x", "1" * 5_000)]),
        ('{"instances": {"1": {"Input": "cat", "Output": "cats"}}}', False, [("cat", "cats")]),
    ],
)  # fmt: skip
def test_json_instances_are_read_as_meant(reply: str, *, of_labels: bool, read: Pairs) -> None:
    assert pairs(reply, of_labels=of_labels, recipe=JSON) == read


@pytest.mark.parametrize(
    "reply",
    ['{"tasks": [{"instruction": "Name a river of Peru.", "input": null, "output": "The Ucayali"}]}',
     '{"Tasks": {"4": {"Instruction": "Name a river of Peru.", "Input": "", "Output": "The Ucayali"}}}',
     '{"tasks": {"4": {"task": "Name a river of Peru.", "response": "The Ucayali"}}}'],
)  # fmt: skip
def test_json_tasks_may_have_other_names(reply: str) -> None:
    assert blocks(reply, ALPACA_JSON) == [("Name a river of Peru.", "", "The Ucayali")]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Sure! Yes", True), ("Based on the definition, this is a classification task.", True), ("\\boxed{Yes}", True),
        ("{'is_classification': True}", True), ('{"is_classification": true', True),
        ('[{"is_classification": true}]', True), ("A: Yes", True), ("No problem! Yes.", True),
        ("No need to explain: Yes", True),
        ("Not a classification task.", False), ("This isn't a classification task.", False),
        ("This is an open-ended task, so no.", False), ("Output: no", False),
        ("Yes, if it had labels, but it has none, so no.", None), ("It depends on the labels.", None),
        ("It is a classification task, or not a classification task.", None),
    ],
)  # fmt: skip
def test_a_verdict_is_read_or_none(reply: str, *, verdict: bool | None) -> None:
    assert is_classification(reply) is verdict


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1. **Poem**: Describe a volcano to a child.", ["Describe a volcano to a child."]),
        ("**1. Poem**\nDescribe a volcano to a child.", ["Describe a volcano to a child."]),
        ("1\\. Describe a volcano to a child.", ["Describe a volcano to a child."]),
        ("Task 4 - Describe a volcano to a child.", ["Describe a volcano to a child."]),
        ("Q: What makes a volcano erupt?", ["What makes a volcano erupt?"]),
        ("a) Describe a volcano to a child.", ["Describe a volcano to a child."]),
    ],
)
def test_an_item_of_json_is_read_like_one_of_a_list(written: str, read: list[str]) -> None:
    assert accepted(JSON, json.dumps({"instructions": [written]})) == read


def test_prose_instead_of_json_is_no_task() -> None:
    prose = "The collection has eight tasks on bread.\n\nIt would benefit from more mathematics."
    assert accepted(JSON, prose) == []
    assert accepted(JSON, "Could you tell me more about the collection of tasks, so that they fit?") == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("**Answer:** Lima", "Lima"),
        ("Response: Lima", "Lima"),
        ("Here is the poem: The lamp burns low.", "The lamp burns low."),
        ("Of course! The lamp burns low.", "The lamp burns low."),
        ("Great question! The lamp burns low.", "The lamp burns low."),
        ("The lamp burns low. Let me know if you need anything else!", "The lamp burns low."),
        ("The lamp burns low. I hope this helps!", "The lamp burns low."),
        ("The lamp burns low.\n\nIs there anything else I can help you with?", "The lamp burns low."),
        ("Dear Ms Orr, it ships today. Let me know if you need anything else!",) * 2,
        ("Lima\n\nInput: Chile", None),
        ("Lima\n\nExample 2:\nInput: Chile\nOutput: Santiago", None),
        ("TODO", None), ("...", None), ("N/A", None), ("[Your answer here]", None),
    ],
)  # fmt: skip
def test_remarks_around_an_output_in_json_are_dropped(written: str, read: str | None) -> None:
    answer = json.dumps({"instances": [{"input": "Peru", "output": written}]})
    task = json.dumps({"tasks": [{"instruction": "Name the capital of it.", "input": "Peru", "output": written}]})
    assert pairs(answer, recipe=JSON) == ([] if read is None else [("Peru", read)])
    assert [output for _, _, output in blocks(task, ALPACA_JSON)] == ([] if read is None else [read])


@pytest.mark.parametrize("given", ["Peru\nOutput: Lima", "[Insert text]", "Input text", "The text to be summarized."])
def test_an_input_of_placeholders_is_refused(given: str) -> None:
    answer = json.dumps({"instances": [{"input": given, "output": "Lima"}]})
    task = json.dumps({"tasks": [{"instruction": "Name the capital of it.", "input": given, "output": "Lima"}]})
    assert (pairs(answer, recipe=JSON), blocks(task, ALPACA_JSON)) == ([], [])
