"""`seedstream check` makes one call of each step. It shows the results, estimates a run, and judges the model."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from anyio.from_thread import start_blocking_portal
from msgspec import structs

from service.bootstrap.asked_model import AskedModels
from service.bootstrap.open_model import open_model, probe
from service.bootstrap.open_models import open_models
from service.cli.trial_report import check_steps
from service.errors import SeedstreamError
from service.lm.dispatch import Patience
from service.lm.errors import CallFailedError, EndpointRefusedError
from service.lm.port import Completion, FinishReason
from service.messaging.messages import RunDefined
from service.run.definition import AskedRun
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form, Recipe, RecipeName, recipe_for
from service.selfinstruct.tasks import SeedTask
from service.settings import load_settings
from service.simulator import SimulatorOptions
from service.simulator import serve as serve_simulator
from tests.acceptance.program import run
from tests.fakes.chat.habits import ORDINARY, REFUSAL, Habits, always
from tests.fakes.chat.json_shapes import JSON_SHAPES
from tests.fakes.chat.model import ChatModel, Reply
from tests.fakes.chat.server import MODEL_NAME, serve
from tests.fakes.chat.shapes import Shape
from tests.fakes.chat.steps import Body
from tests.fakes.models import ScriptedModel, by_marker, completed
from tests.support import examples

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]

PATIENCE = Patience(attempts=3, closed_s=10.0, refused_first_s=0.0)
THREE = "these 3 calls, if 9 in 10 accepted tasks are finished"
SEEDS = [examples.seed_task(number) for number in range(8)]
FOUR = " Name three rivers of Europe.\n10. Sort it.\n11. Draw a map of the Baltic Sea.\n12. List all mountains of Asia."
REPLIES = {"Tasks:": FOUR, "Is it?": " No", "Solve:": "Example 1\nInput: now\nOutput: Po\nExample 2\nOutput: Elbe"}
TEMPLATES = replace(
    examples.TEMPLATES,
    json_instructions=examples.TEMPLATES.instructions,
    json_alpaca=examples.TEMPLATES.alpaca,
)
DEFINED = examples.definition(8)
SORRY = "I'm sorry, but I can't help with that."
SURE = "Sure! Here are the tasks that you asked for."


def answering(shape: Shape, *, enforces_schema: bool = False) -> ChatModel:
    """Return a chat model whose JSON always has this shape, unless a schema is enforced."""
    habits = Habits(ORDINARY.text, always(shape), always(shape))
    return ChatModel(5, enforces_schema=enforces_schema, habits=habits)


class WithoutSchemas(ChatModel):
    """A server that rejects `response_format`."""

    def reply(self, body: Body) -> Reply:
        if "response_format" in body:
            raise KeyError("response_format is not supported")
        return super().reply(body)


async def check_served(url: str, **flags: Any) -> list[str]:
    """Check the server at `url` as the command does, and return the lines about the steps."""
    given = {"lm": "openai", "lm_url": url, "model": MODEL_NAME, **flags}
    settings = await to_thread.run_sync(load_settings, given)
    definition, seeds = await to_thread.run_sync(lambda: AskedRun(settings).new)
    async with open_models(settings, PATIENCE, definition.recipe.steps) as models:
        await probe(models)
        return [line async for line in check_steps(definition, seeds, models, settings)]


async def check_chat(model: ChatModel, **flags: Any) -> list[str]:
    async with serve(model) as url:
        return await check_served(url, **flags)


async def check_scripted(
    model: ScriptedModel, definition: RunDefined = DEFINED, seeds: Sequence[SeedTask] = SEEDS, **flags: Any
) -> tuple[list[str], SeedstreamError | None]:
    """Return the lines about a scripted model, and the error that ends the check, if any."""
    settings = await to_thread.run_sync(load_settings, {"lm": "simulator", **flags})
    lines: list[str] = []
    async with open_model(settings, PATIENCE) as asked:
        try:
            async for line in check_steps(definition, seeds, AskedModels.alone(replace(asked, model=model)), settings):
                lines.append(line)  # noqa: PERF401 - lines before an error count
        except SeedstreamError as error:
            return lines, error
    return lines, None


@pytest.mark.parametrize(
    ("recipe", "calls", "basis"),
    [
        ("self-instruct", {"instructions": 1, "classification": 2, "instances": 1}, THREE),
        ("alpaca", {"tasks": 1, "classification": 1}, "this call"),
    ],
)
async def test_a_chat_model_is_asked_once_for_each_step(recipe: str, calls: dict[str, int], basis: str) -> None:
    """One more call asks for prose, to see whether the schema is enforced."""
    model = answering(JSON_SHAPES[0])
    lines = await check_chat(model, recipe=recipe)
    assert Counter(entry.step.replace("labels", "instances") for entry in model.journal.entries) == calls
    written = model.journal.entries[0].meant.instructions
    verdicts = [line.strip().partition(": ") for line in lines[2 : 2 + len(written)]]
    assert [instruction for _, _, instruction in verdicts] == [*written]
    accepted = [verdict for verdict, _, _ in verdicts].count("accepted")
    assert lines[0].startswith(f"generate: {len(written)} candidates, {accepted} accepted, ")
    assert lines[1].startswith("generate: the reply begins: {")
    assert lines[-1].startswith("estimate: 100 tasks: about ")
    assert lines[-1].endswith(f"(judged by {basis})")


async def test_what_a_reply_holds_is_shown_line_by_line() -> None:
    """Each prompt has one accepted task. A hundred finished tasks take 3 x 100 / 0.9 calls, with one token out each."""
    model, seeds = ScriptedModel(by_marker(REPLIES)), [*SEEDS, examples.seed_task(8, "List all mountains of Asia")]
    lines, _ = await check_scripted(model, examples.definition(9), seeds, lm_api="chat")
    assert len(model.asked) == 3
    assert [re.sub(r"[\d,]+ tokens in", "N tokens in", line) for line in lines] == [
        "generate: 4 candidates, 1 accepted, N tokens in, 1 out, cost unknown",
        f"generate: the reply begins: {' '.join(FOUR.split())}",
        "  accepted: Name three rivers of europe.",
        "  too_short: Sort it.",
        "  blocked_word: Draw a map of the baltic sea.",
        "  too_similar: List all mountains of asia.",
        "classify: no classification task, N tokens in, 1 out, cost unknown",
        "classify: the reply begins: No",
        "instances: 2 instances, N tokens in, 1 out, cost unknown",
        "instances: the reply begins: Example 1 Input: now Output: Po Example 2 Output: Elbe",
        "  now → Po",
        "  (no input) → Elbe",
        f"estimate: 100 tasks: about 330 calls, N tokens in, 330 out (judged by {THREE})",
    ]


async def test_the_later_steps_are_tried_with_the_first_accepted_task() -> None:
    model = ScriptedModel(by_marker({**REPLIES, "Is it?": "Yes", "Label:": "no label"}))
    lines, _ = await check_scripted(model)
    assert [*model.asked[1:]] == ["Is it? Name three rivers of europe.", "Label: Name three rivers of europe.\n"]
    assert any(line.startswith("classify: a classification task, ") for line in lines)
    assert any(line.startswith("instances: no instance (none_parsed), ") for line in lines)


async def test_a_seed_takes_the_place_of_a_task_where_none_is_accepted() -> None:
    model = ScriptedModel(by_marker({**REPLIES, "Tasks:": f" {SEEDS[3].instruction}\n10. Sort it."}))
    lines, _ = await check_scripted(model)
    assert model.asked[1:] == [f"Is it? {SEEDS[0].instruction}", f"Solve: {SEEDS[0].instruction}\n"]
    assert lines[0].startswith("generate: 2 candidates, 0 accepted, ")
    assert not any(line.startswith("by that") for line in lines)


async def test_no_outlook_is_given_where_tokens_are_not_counted() -> None:
    uncounted = replace(completed("No"), usage=None)
    lines, _ = await check_scripted(ScriptedModel(by_marker({**REPLIES, "Is it?": uncounted})))
    assert "classify: no classification task, tokens unknown, cost unknown" in lines
    assert not any(line.startswith("by that") for line in lines)


async def test_what_is_shown_of_a_reply_obeys_no_control_character() -> None:
    hostile = " Name \x1b[2J three\u202e rivers of Europe.\x9b31m"
    lines, _ = await check_scripted(ScriptedModel(by_marker({**REPLIES, "Tasks:": hostile})))
    assert "rivers of Europe." in lines[1]
    assert not any(mark in "".join(lines) for mark in "\x1b\x9b\u202e")


@pytest.mark.parametrize("prices", [{}, {"price_prompt": 1_000, "price_completion": 2_000}])
async def test_tokens_and_costs_of_each_call_are_those_of_the_server(prices: dict[str, int]) -> None:
    async with serve_simulator(SimulatorOptions(seed=2, truncation_rate=0)) as simulator:
        flags = {"model": simulator.options.model, "recipe": "alpaca", "lm_api": "completions", "target": 7}
        lines = await check_served(simulator.url, **flags, **prices)
    (call,) = [entry for entry in simulator.journal.entries if entry.path.endswith("completions")]
    usd = (call.prompt_tokens + 2 * call.completion_tokens) / 1_000
    cost = f"${usd:.4f}" if usd >= 1 else f"${usd:.6f}"
    tokens = f"{call.prompt_tokens} tokens in, {call.completion_tokens} out"
    assert lines[0].endswith(f", {tokens}, {cost if prices else 'cost unknown'}")
    assert f"and {int(lines[0].split()[1]) - 8} more" in lines[10]
    assert lines[-1].startswith("estimate: 7 tasks: about ")
    assert ("and no price is given for" in lines[-1]) is not bool(prices)


@pytest.mark.parametrize(
    ("recipe", "reply", "reasons", "remedy"),
    [
        (recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True), SURE, "chatter 1", "try --form text"),
        (recipe_for(RecipeName.ALPACA, Form.JSON, chat_model=True), "", "empty 1", "try --form text"),
        (recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True), SURE, "chatter 1", "try --form json"),
        (recipe_for(RecipeName.ALPACA, chat_model=True), SURE, "chatter 1", "try --form json"),
        (ALPACA, " Tasks\n###\nmore tasks", "malformed 2", "for a chat model, use --lm-api chat"),
        (SELF_INSTRUCT, Completion(FOUR, FinishReason.LENGTH, "m"), "truncated 4", "chat model, use --lm-api chat"),
    ],
    ids=lambda value: value.title if isinstance(value, Recipe) else "",
)
async def test_a_model_of_which_nothing_can_be_read_will_not_do(
    recipe: Recipe, reply: Any, reasons: str, remedy: str
) -> None:
    model = ScriptedModel(lambda _: reply)
    definition = structs.replace(examples.definition(8, recipe), templates=TEMPLATES)
    lines, error = await check_scripted(model, definition)
    assert error is not None
    assert error.exit_code == 2
    assert f"generate: nothing of the reply can be read ({reasons}); " in str(error)
    assert remedy in str(error)
    assert any(line.startswith("generate: the reply begins: ") for line in lines)
    assert len(model.asked) == 1


async def test_a_reply_of_which_little_can_be_read_is_warned_of() -> None:
    reply = " Name three rivers of Europe.\n10. Two tasks\n2) in one.\n11. And two\n3) in one."
    lines, _ = await check_scripted(ScriptedModel(by_marker({**REPLIES, "Tasks:": reply})))
    assert [line for line in lines if line.startswith("beware: ")] != []


@pytest.mark.parametrize("step", ["Tasks:", "Is it?", "Solve:"])
@pytest.mark.parametrize(
    ("failure", "said", "code"),
    [
        (CallFailedError("the context is too small"), "{}: a run would get no answer: the context is too small", 2),
        (EndpointRefusedError("the key is wrong"), "the key is wrong", 5),
    ],
)
async def test_a_step_without_an_answer_ends_the_check(step: str, failure: Any, said: str, code: int) -> None:
    names = {"Tasks:": "generate", "Is it?": "classify", "Solve:": "instances"}
    lines, error = await check_scripted(ScriptedModel(by_marker({**REPLIES, step: failure})))
    assert error is not None
    assert (error.exit_code, str(error)) == (code, said.format(names[step]))
    before = [*names.values()][: [*names].index(step)]
    assert [line.partition(":")[0] for line in lines if "the reply begins" in line] == before


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (answering(JSON_SHAPES[1], enforces_schema=True), "the schema is enforced: a request for prose was answered"),
        (answering(JSON_SHAPES[1]), "beware: the schema is accepted but not enforced: only the prompt makes"),
        (WithoutSchemas(5, habits=Habits(ORDINARY.text, always(JSON_SHAPES[0]), ())), ""),
    ],
    ids=["enforced", "accepted", "refused"],
)
async def test_a_schema_is_enforced_or_only_accepted(model: ChatModel, said: str) -> None:
    lines = await check_chat(model)
    told = [line for line in lines if "schema" in line]
    assert [line[: len(said)] for line in told] == ([said] if said else [])
    assert lines[-1].startswith("estimate: ")


def test_the_command_marks_the_warnings_of_each_stages_model(tmp_path: Path) -> None:
    model = ChatModel(5)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(model)) as url:
        (tmp_path / "seedstream.toml").write_text('[stages.instances]\nmodel = "unlisted"\n')
        ended = run(tmp_path, "check", "--lm", "openai", "--lm-url", url, "--model", MODEL_NAME)
    said = ended.out.decode()
    assert "!!  model      beware: instances: the model unlisted is not in the server's list" in said
    assert ": beware: " not in said


def test_the_command_ends_with_two_and_leaves_nothing_behind(tmp_path: Path) -> None:
    model, folder = answering(REFUSAL), tmp_path / "empty"
    folder.mkdir()
    tasks = [{"instruction": f"Is the number {number} even?", "output": "Yes"} for number in range(8)]
    (tmp_path / "seeds.json").write_text(json.dumps(tasks))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(model)) as url:
        flags = ("--lm", "openai", "--lm-url", url, "--model", MODEL_NAME, "--seeds", tmp_path / "seeds.json")
        ended = run(folder, "check", *flags)
    assert ended.code == 2
    said = ended.out.decode()
    assert "!!  seeds      beware: 8 of 8 seed tasks have the same output, 'Yes'" in said
    assert "ok  trial      generate: 1 candidates, 0 accepted, " in said
    assert ended.err.splitlines()[-1].startswith("seedstream: generate: the model refuses to write tasks; ")
    assert not [path for path in folder.rglob("*") if path.is_file()]
